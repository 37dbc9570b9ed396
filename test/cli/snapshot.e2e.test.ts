import { expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';
import { createRole } from '../helpers/role.ts';

const database = useDatabase();

async function snapshot(...args: string[]) {
  const result = await runMain(['snapshot', ...args], { env: { DATABASE_URL: database.url } });
  return { ...result, said: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '').trimEnd() };
}

test('snapshot reports the delivered rows, and warns if no changes would follow', async () => {
  await addConsumers(database, ['index']);
  await database.query(`create table item (id int primary key);
    insert into item select generate_series(1, 2500)`);
  await runMain(['trigger', 'add', 'item', '--channel', 'items'], {
    env: { DATABASE_URL: database.url },
  });
  const { exitCode, said, stdout } = await snapshot('item', '--consumer', 'index');
  expect(said.replace(/in [\d.]+ m?s/, 'in a moment').split('\n')).toEqual([
    'warning index does not read the channel items: it gets these rows, but no later changes ' +
      'of public.item.',
    'Published 2,500 rows of public.item to index in a moment.',
  ]);
  expect([exitCode, stdout]).toEqual([0, '']);
  const again = await snapshot('item', '--consumer', 'index', '--json', '--batch-size', '100');
  expect(JSON.parse(again.stdout)).toEqual({
    table: 'public.item',
    consumerId: 'index',
    rows: 2500,
    isFinished: true,
  });
  const { rows } = await database.query(
    `select count(*)::int as count from pgwatch.notification_log where channel = 'consumer:index'`,
  );
  expect(rows).toEqual([{ count: 5000 }]);
});

test.each([
  [['nosuch', '--consumer', 'index'], 'There is no table nosuch in public.'],
  [
    ['bare', '--consumer', 'index'],
    'public.bare is not captured, so its rows would soon be out of date: ' +
      'run "pgwatch trigger add public.bare" first.',
  ],
  [
    ['bare', '--consumer', 'idnex'],
    'There is no consumer "idnex" in the database. Did you mean "index"?',
  ],
  [['bare'], "required option '--consumer <id>' not specified"],
  [['bare', '--consumer', 'index', '--batch-size', 'many'], 'Give a whole number from 1 to 10000.'],
])('%j is refused with a sentence', async (args, sentence) => {
  await addConsumers(database, ['index']);
  await database.query('create table if not exists bare (id int primary key)');
  const { exitCode, said } = await snapshot(...args);
  expect(said).toContain(sentence);
  expect(exitCode).toBe(2);
});

test('a table without a primary key is refused: its rows cannot be told apart', async () => {
  await addConsumers(database, ['index']);
  await database.query('create table keyless (id int)');
  await runMain(['trigger', 'add', 'keyless'], { env: { DATABASE_URL: database.url } });
  expect((await snapshot('keyless', '--consumer', 'index')).said).toContain(
    'public.keyless has no primary key: a snapshot could neither identify its rows',
  );
});

test('a table is refused if row-level security hides rows from this role', async () => {
  const empty = await createEmptyDatabase();
  const { name, url } = await createRole(empty, 'tenant');
  await empty.query(`grant create on database ${new URL(empty.url).pathname.slice(1)} to "${name}";
    grant all on schema public to "${name}"`);
  const run = (...args: string[]) => runMain(args, { env: { DATABASE_URL: url } });
  await run('migrate');
  await withConnection({ url }, async (client) => {
    await client.query(`create table accounts (id int primary key, tenant text);
      alter table accounts enable row level security, force row level security;
      create policy own on accounts using (tenant = 'a')`);
    await registerConsumer(client, 'pgwatch', { id: 'c', channels: ['data_change'], from: 'now' });
  });
  await run('trigger', 'add', 'accounts');
  const { exitCode, stderr } = await run('snapshot', 'accounts', '--consumer', 'c');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /Row level security hides rows of public\.accounts from this role.*BYPASSRLS/,
  );
  await empty.query('alter table accounts no force row level security');
  expect(await run('snapshot', 'accounts', '--consumer', 'c')).toMatchObject({ exitCode: 0 });
});
