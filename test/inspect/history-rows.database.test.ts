import type { Client } from 'pg';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { type RowAt, rowAt } from '../../src/inspect/history/at.ts';
import { rowAtReport } from '../../src/service/operations/history-at.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';
import { historyOf } from './history-of.ts';

const database = useDatabase();
let client: Client;

beforeAll(async () => {
  client = await database.connect();
  await client.query(`
    create table users (id bigint primary key, name text, email text, visits int default 0);
    create table lines (a int, "B c" text, n numeric(6, 2), note text, primary key (a, "B c", n));
    create table bare (n int)`);
  await createTrigger(client, 'lines');
  await createTrigger(client, 'bare');
});

beforeEach(async () => {
  await emptyLog(database);
  await client.query('drop trigger if exists second on users; truncate users, lines');
  await client.query('alter table users drop column if exists added');
  await createTrigger(client, 'users');
  await emptyLog(database);
});

const users = (id = '1') => historyOf(database, client, { table: 'users', id });

/** A time after everything written so far, and before everything written later. */
async function moment(): Promise<Date> {
  await client.query('select pg_sleep(0.003)');
  const { rows } = await client.query('select clock_timestamp() as time');
  await client.query('select pg_sleep(0.003)');
  return rows[0].time;
}

test('a version says who made it, and what changed', async () => {
  await client.query(
    `set app.user_id = 'ada'; set app.session_id = 's1'; insert into users values (1, 'Ada')`,
  );
  await client.query(
    `reset app.user_id; reset app.session_id; update users set name = 'Ada L.', visits = 1`,
  );
  const { versions, short } = await users();
  expect(short).toEqual(['INSERT', 'UPDATE name visits']);
  expect(versions.map(({ userId, sessionId }) => [userId, sessionId])).toEqual([
    ['ada', 's1'],
    [null, null],
  ]);
  expect(versions[1]).toMatchObject({
    before: { name: 'Ada', visits: 0 },
    after: { id: 1, name: 'Ada L.', visits: 1 },
    schema: 'public',
    table: 'users',
  });
});

test.each(['a=1,B c=x,n=2.5', '{"B c": "x", "a": 1, "n": 2.50}', '[1, "x", 2.5]'])(
  'a composite key can be written as %s',
  async (id) => {
    await client.query(`insert into lines values (1, 'x', 2.5), (1, 'y', 2.5), (2, 'x', 2.5)`);
    await client.query(`update lines set note = 'z' where a = 1 and "B c" = 'x'`);
    const { short } = await historyOf(database, client, { table: 'lines', id });
    expect(short).toEqual(['INSERT', 'UPDATE note']);
  },
);

test('keys that do not fit are refused, and so are tables without a primary key', async () => {
  const refusal = (table: string, id: string) =>
    historyOf(database, client, { table, id }).then(
      () => 'none',
      (error: Error) => error.message,
    );
  expect(await refusal('lines', '1')).toContain(
    'does not fit the primary key (a, B c, n): write a=1,B c=2,n=3',
  );
  expect(await refusal('lines', 'a=1,b=2,n=3')).toContain('does not fit the primary key');
  expect(await refusal('users', 'x')).toBe('"x" is not a valid bigint, the type of the key.');
  expect(await refusal('bare', '1')).toContain('has no primary key');
});

test('a dropped table is found by its name, in whatever schema it was', async () => {
  await client.query('create schema app; create table app.gone (id text primary key)');
  await createTrigger(client, 'app.gone');
  await client.query(`insert into app.gone values ('007'), ('7')`);
  await client.query('drop schema app cascade');
  for (const table of ['gone', 'app.gone']) {
    const { short, versions } = await historyOf(database, client, { table, id: '007' });
    expect([short, versions[0]?.after]).toEqual([['INSERT'], { id: '007' }]);
  }
});

test('at a time the row is unknown, absent, existing, or gone', async () => {
  const start = await moment();
  await client.query('insert into users values (2)');
  const before = await moment();
  await client.query(`insert into users values (1, 'Ada')`);
  const inserted = await moment();
  await client.query(`update users set name = 'Ada L.' where id = 1`);
  const updated = await moment();
  await client.query('truncate users');
  const emptied = await moment();
  const { at } = await users();
  const told: RowAt[] = [];
  for (const time of [start, before, inserted, updated, emptied]) told.push(await at(time));
  expect(told.map(({ state, row }) => [state, row?.name ?? null])).toEqual([
    ['unknown', null],
    ['absent', null],
    ['exists', 'Ada'],
    ['exists', 'Ada L.'],
    ['absent', null],
  ]);
});

test('a row older than its capture is known as its first change found it', async () => {
  await client.query('alter table users disable trigger user');
  await client.query(`insert into users values (1, 'Ada'), (2, 'Grace')`);
  await client.query('alter table users enable trigger user');
  await client.query(`update users set name = 'G.' where id = 2`);
  const covered = await moment();
  await client.query(`update users set name = 'A.' where id = 1`);
  const { at } = await users();
  expect(await at(covered)).toMatchObject({ state: 'exists', row: { name: 'Ada' }, version: null });
  expect((await at(new Date(0))).state).toBe('unknown');
});

test('a change without a notification shows as a gap; a new column does not', async () => {
  await client.query(`insert into users values (1, 'Ada')`);
  await client.query('alter table users add column added int default 7');
  await client.query(`update users set visits = 1`);
  await client.query('alter table users disable trigger user');
  await client.query(`update users set name = 'other'`);
  await client.query('alter table users enable trigger user');
  const hidden = await moment();
  await client.query(`update users set visits = 2`);
  await client.query('alter table users disable trigger user');
  await client.query('delete from users');
  await client.query('alter table users enable trigger user');
  await client.query(`insert into users values (1, 'new')`);
  const { short, at } = await users();
  expect(short).toEqual(['INSERT', 'UPDATE visits', 'UPDATE visits gap', 'INSERT gap']);
  expect((await at(hidden)).next?.isAfterGap).toBe(true);
});

test('with the payload "changed" the row is reassembled, without excluded columns', async () => {
  await createTrigger(client, 'users', { payload: 'changed' });
  await client.query(`insert into users values (1, 'Ada', 'a@x', 0)`);
  await client.query(`update users set visits = 1`);
  await client.query(`update users set visits = 2, name = 'A.', email = 'b@x'`);
  const partial = await users();
  expect(partial.short).toEqual(['INSERT', 'UPDATE visits', 'UPDATE name email visits']);
  expect(partial.versions.map(({ after }) => after)).toEqual([
    { id: 1, name: 'Ada', email: 'a@x', visits: 0 },
    { id: 1, name: 'Ada', email: 'a@x', visits: 1 },
    { id: 1, name: 'A.', email: 'b@x', visits: 2 },
  ]);
  expect(partial.versions.map(({ isPartial }) => isPartial)).toEqual([false, false, false]);
  await createTrigger(client, 'users', { exclude: ['email'] });
  await client.query(`update users set visits = 3`);
  expect((await users()).versions.at(-1)?.after).toEqual({ id: 1, name: 'A.', visits: 3 });
});

test('if the log has only changes of a row, the answer says that it is incomplete', async () => {
  await createTrigger(client, 'users', { payload: 'changed' });
  await client.query(`insert into users values (1, 'Ada', 'a@x', 0)`);
  const before = await moment();
  await emptyLog(database);
  await client.query(`update users set visits = 1`);
  const after = await moment();
  await client.query(`update users set name = 'A.'`);
  const since = async () => new Date(0);
  const { versions, at } = await users();
  expect(versions.map(({ isPartial }) => isPartial)).toEqual([true, true]);
  expect((await rowAt(versions, before, since)).row).toEqual({ id: 1, visits: 0 });
  const found = await at(after);
  expect(found.row).toEqual({ id: 1, visits: 1 });
  const order = ['id', 'name', 'email', 'visits'];
  expect(rowAtReport(found, after, order).warning).toMatch(/^This is not the whole row/);
  // A row with all columns changed is complete, and so are versions after a full one.
  expect(rowAtReport(found, after, ['id', 'visits']).warning).toBeNull();
  await createTrigger(client, 'users');
  await client.query(`update users set visits = 2`);
  await createTrigger(client, 'users', { payload: 'changed' });
  await client.query(`update users set visits = 3`);
  const later = (await users()).versions.slice(2);
  expect(later.map(({ isPartial }) => isPartial)).toEqual([false, false]);
});

test('each change of a table captured by two triggers appears once', async () => {
  await client.query(`create trigger second after insert or update on users
    for each row execute function notify_data_change('other')`);
  await client.query(`insert into users values (1, 'Ada')`);
  await client.query('update users set name = name');
  await client.query('update users set name = name');
  expect((await users()).short).toEqual(['INSERT', 'UPDATE', 'UPDATE']);
});

test('nothing that the owner of a type made runs as the role that asks', async () => {
  const role = await createRole(database, 'owner');
  const schema = `"${role.name}"`;
  await client.query(`
    create schema ${schema} authorization ${schema}; set role ${schema};
    create function ${schema}.check(value text) returns boolean language plpgsql as $$
    begin
      assert current_user = $a$${role.name}$a$, 'run as ' || current_user;
      return true;
    end $$;
    create domain ${schema}.code as varchar(10) check (${schema}.check(value));
    create domain ${schema}.amount as numeric(6, 2) check (${schema}.check(value::text));
    create type ${schema}.mood as enum ('sad');
    create function ${schema}.shown(value ${schema}.mood) returns json language plpgsql as $$
    begin
      assert ${schema}.check('');
      return to_json(value::text);
    end $$;
    create table ${schema}.t (
      code ${schema}.code, amount ${schema}.amount, mood ${schema}.mood,
        primary key (code, amount, mood));
    reset role`);
  await createTrigger(client, `${schema}.t`);
  // The cast comes later: if it existed, nothing would be captured.
  await client.query(`
    set role ${schema}; insert into ${schema}.t values ('x', 2.5, 'sad');
    create cast (${schema}.mood as json) with function ${schema}.shown; reset role`);
  const asked = { table: `${schema}.t`, id: 'code=x,amount=2.5,mood=sad' };
  expect((await historyOf(database, client, asked)).short).toEqual(['INSERT']);
});
