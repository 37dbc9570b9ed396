import { expect, test } from 'vitest';
import { createTrigger, dropTrigger } from '../../src/capture/create-trigger.ts';
import { withConnection } from '../../src/database/connect.ts';
import { shortChangesOf } from '../helpers/captured.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';

const database = useDatabase();

test('createTrigger joins a transaction, and can be repeated and undone', async () => {
  const client = await database.connect();
  await client.query('begin; create table fresh (id int primary key)');
  expect(await createTrigger(client, 'fresh', { channel: 'c' })).toEqual({
    kind: 'added',
    warnings: [],
  });
  await client.query('rollback');
  await expect(createTrigger(client, 'fresh')).rejects.toMatchObject({ code: 'table_unsuitable' });
  await client.query('create table fresh (id int primary key)');
  const kinds = [
    await createTrigger(client, 'fresh'),
    await createTrigger(client, 'public.fresh'),
    await createTrigger(client, 'fresh', { payload: 'keys' }),
    await dropTrigger(client, 'fresh'),
    await dropTrigger(client, 'fresh'),
  ].map(({ kind }) => kind);
  expect(kinds).toEqual(['added', 'unchanged', 'changed', 'removed', 'unchanged']);
  await client.query('insert into fresh values (1)');
  expect(await shortChangesOf(database, 'fresh')).toEqual([]);
});

test('a table is found on the search path of the connection', async () => {
  const client = await database.connect();
  await client.query(
    'create schema app; set search_path = app, public; create table here (id int primary key)',
  );
  await createTrigger(client, 'here');
  await client.query('insert into here values (1)');
  expect(await shortChangesOf(database, 'here')).toEqual(['INSERT 1']);
});

test('of two concurrent calls, one prevails completely', async () => {
  await database.query('create table twice (id int primary key)');
  const options = [{ operations: ['insert'] }, { operations: ['update', 'delete'] }] as const;
  const clients = await Promise.all(options.map(() => database.connect()));
  await Promise.all(
    options.map((each, index) => createTrigger(clients[index] as never, 'twice', each)),
  );
  const { rows } = await database.query(
    `select array_agg(tgname::text order by tgname) as names from pg_trigger
      where tgrelid = 'twice'::regclass`,
  );
  expect([['00_pgwatch_insert'], ['00_pgwatch_delete', '00_pgwatch_update']]).toContainEqual(
    rows[0].names,
  );
});

test('the message names what is missing', async () => {
  const empty = await createEmptyDatabase();
  await empty.query('create table t (id int primary key)');
  await expect(createTrigger(empty.client, 't')).rejects.toMatchObject({
    code: 'schema_missing',
    message: 'pgwatch is not installed in this database. Run "pgwatch migrate" first.',
  });
  const { url } = await createRole(database, 'nobody');
  await withConnection({ url }, async (client) => {
    await expect(createTrigger(client, 'fresh')).rejects.toMatchObject({
      code: 'permission_denied',
    });
  });
  const client = await database.connect();
  const wrong = createTrigger(client, 'fresh', { forEach: 'rows' as never });
  await expect(wrong).rejects.toMatchObject({
    code: 'input_invalid',
    message: `forEach must be 'auto', 'statement' or 'row', not 'rows'.`,
  });
});
