import type { Client } from 'pg';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { historyOf } from './history-of.ts';

/*
Goal: what --undo prints restores what was before, whatever the table is like, and harms nothing that was
changed since.
Method: it is run, and the table compared. Without its guard it overwrites a later change.
*/

const database = useDatabase();
const NAME = '"Order ""items""\u001b[2J"';
const TOTAL = '"to\u0007tal"';
let client: Client;

beforeAll(async () => {
  client = await database.connect();
  await client.query(`
    create schema other;
    create domain other.code as text not null check (value <> '');
    create type other."mo""o\u001b]0;d" as enum ('sad', 'very "happy"');
    create table ${NAME} (
      id bigint generated always as identity primary key, code other.code, mood other."mo""o\u001b]0;d",
      ${TOTAL} numeric, twice numeric generated always as (${TOTAL} * 2) stored,
      place point, data jsonb, secret text)`);
});

beforeEach(async () => {
  await emptyLog(database);
  await client.query(`truncate ${NAME} restart identity`);
  await createTrigger(client, NAME);
  await client.query(
    `insert into ${NAME} (code, mood, ${TOTAL}, place, data, secret) values
       ('a', 'very "happy"', 12345678901234567890.10, '(1,2)', '{"n": 12345678901234567890, "\u009b31m": 1}', 's')`,
  );
});

const history = () => historyOf(database, client, { table: NAME, id: '1' });

async function contents(): Promise<unknown> {
  const { rows } = await client.query(`select json_agg(t)::text as rows from ${NAME} as t`);
  return rows[0].rows;
}

test.each([
  ['a DELETE, with identity, domain and all digits', `delete from ${NAME}`],
  [
    'an UPDATE of everything',
    `update ${NAME} set code = 'b', mood = 'sad', ${TOTAL} = 'NaN', place = null, data = 'null', secret = 't'`,
  ],
  ['an UPDATE to nothing', `update ${NAME} set data = null, ${TOTAL} = null`],
])('%s is undone, by SQL that steers no terminal', async (_, statement) => {
  const before = await contents();
  await client.query(statement);
  expect(await contents()).not.toBe(before);
  const sql = await (await history()).undoLast();
  expect(sql).not.toMatch(/[^\P{Cc}\n]/u);
  await client.query(sql);
  expect(await contents()).toBe(before);
});

test('an INSERT is undone', async () => {
  await client.query(await (await history()).undoLast());
  expect(await contents()).toBeNull();
});

test('what was changed again since is left alone; without the guard it would be overwritten', async () => {
  await client.query(`update ${NAME} set code = 'b'`);
  const sql = await (await history()).undoLast();
  await client.query(`update ${NAME} set code = 'c', secret = 't'`);
  expect((await client.query(sql)).rowCount).toBe(0);
  const { rows } = await client.query(`select code from ${NAME}`);
  expect(rows).toEqual([{ code: 'c' }]);
  const unguarded = sql.replace(/\n {2}and .*;/s, ';');
  expect(unguarded).not.toBe(sql);
  expect((await client.query(unguarded)).rowCount).toBe(1);
  const { rows: overwritten } = await client.query(`select code from ${NAME}`);
  expect(overwritten).toEqual([{ code: 'a' }]);
});

test('another column that was changed since keeps its value', async () => {
  await client.query(`update ${NAME} set code = 'b'`);
  const sql = await (await history()).undoLast();
  await client.query(`update ${NAME} set secret = 't'`);
  expect((await client.query(sql)).rowCount).toBe(1);
  const { rows } = await client.query(`select code, secret from ${NAME}`);
  expect(rows).toEqual([{ code: 'a', secret: 't' }]);
});

test('it says what the notification lacks, what the table lacks, and which the other half is', async () => {
  await createTrigger(client, NAME, { exclude: ['secret'] });
  await client.query(`update ${NAME} set id = default`);
  await client.query(`alter table ${NAME} add column added int default 7, drop column place`);
  const moved = await history();
  expect(moved.short.at(-1)).toBe('DELETE');
  const sql = await moved.undoLast();
  expect(sql.split('\n').slice(1, 4)).toEqual([
    expect.stringMatching(
      /^-- It is half of a change of the key, the other is notification \d+: undo both\.$/,
    ),
    '-- The notification does not have: secret, added.',
    '-- The table no longer has: place.',
  ]);
  const other = await historyOf(database, client, { table: NAME, id: '2' });
  await client.query(await other.undoLast());
  await client.query(sql);
  const { rows } = await client.query(`select id, secret, added from ${NAME}`);
  expect(rows).toEqual([{ id: '1', secret: null, added: 7 }]);
  await client.query(`alter table ${NAME} add column place point, drop column added`);
});

test.each([
  ['TRUNCATE', `truncate ${NAME}`, 'TRUNCATE cannot be undone'],
  [
    'an UPDATE of nothing',
    `update ${NAME} set code = code`,
    'tells of no change that could be undone',
  ],
])('%s cannot be undone, and it says so', async (_, statement, message) => {
  await client.query(statement);
  const { undoLast } = await history();
  await expect(undoLast()).rejects.toMatchObject({
    code: 'undo_impossible',
    message: expect.stringContaining(message),
  });
});

test('nor a change of a table that is gone', async () => {
  await client.query('create table passing (id int primary key)');
  await createTrigger(client, 'passing');
  await client.query('insert into passing values (1)');
  await client.query('drop table passing');
  const { short, undoLast } = await historyOf(database, client, { table: 'passing', id: '1' });
  expect(short).toEqual(['INSERT']);
  await expect(undoLast()).rejects.toMatchObject({ code: 'undo_impossible' });
});
