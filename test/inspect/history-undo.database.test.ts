import type { Client } from 'pg';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { historyOf } from './history-of.ts';

/*
Goal: the SQL of --undo restores the previous row, whatever the table is like, and harms nothing
that was changed since.
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
      id bigint generated always as identity primary key, code other.code,
      mood other."mo""o\u001b]0;d",
      ${TOTAL} numeric, twice numeric generated always as (${TOTAL} * 2) stored,
      place point, data jsonb, secret text)`);
});

beforeEach(async () => {
  await emptyLog(database);
  await client.query(`truncate ${NAME} restart identity`);
  await createTrigger(client, NAME);
  await client.query(
    `insert into ${NAME} (code, mood, ${TOTAL}, place, data, secret) values
       ('a', 'very "happy"', 12345678901234567890.10, '(1,2)',
         '{"n": 12345678901234567890, "\u009b31m": 1}', 's')`,
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
    `update ${NAME} set code = 'b', mood = 'sad', ${TOTAL} = 'NaN', place = null, data = 'null',
      secret = 't'`,
  ],
  ['an UPDATE to nothing', `update ${NAME} set data = null, ${TOTAL} = null`],
])('%s is undone, by SQL that cannot control a terminal', async (_, statement) => {
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

test('a later change is left alone; without the guard it would be overwritten', async () => {
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

test('the SQL names missing columns, and the other half of a key change', async () => {
  await createTrigger(client, NAME, { exclude: ['secret'] });
  await client.query(`update ${NAME} set id = default`);
  await client.query(`alter table ${NAME} add column added int default 7, drop column place`);
  const moved = await history();
  expect(moved.short.at(-1)).toBe('DELETE');
  const sql = await moved.undoLast();
  expect(sql.split('\n').slice(1, 4)).toEqual([
    expect.stringMatching(
      /^-- It is half of a key change\. The other half is notification \d+: undo both\.$/,
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
  ['an UPDATE of nothing', `update ${NAME} set code = code`, 'has nothing to undo'],
])('%s cannot be undone, and it says so', async (_, statement, message) => {
  await client.query(statement);
  const { undoLast } = await history();
  await expect(undoLast()).rejects.toMatchObject({
    code: 'undo_impossible',
    message: expect.stringContaining(message),
  });
});

test('a change of a dropped table cannot be undone', async () => {
  await client.query('create table passing (id int primary key)');
  await createTrigger(client, 'passing');
  await client.query('insert into passing values (1)');
  await client.query('drop table passing');
  const { short, undoLast } = await historyOf(database, client, { table: 'passing', id: '1' });
  expect(short).toEqual(['INSERT']);
  await expect(undoLast()).rejects.toMatchObject({ code: 'undo_impossible' });
});

/**
 * Types whose values cannot be read back from the log, with two values of each: the test tries to
 * undo the change from the first to the second.
 */
const LOST: [type: string, before: string, after: string][] = [
  ['cast_to_json', `'x'`, `'y'`],
  ['cast_to_json[]', `array['x'::cast_to_json]`, `array['y'::cast_to_json]`],
  ['domain_of_cast', `'x'`, `'y'`],
  ['with_cast', `row(1, 'x')::with_cast`, `row(1, 'y')::with_cast`],
  ['json', `'"\\u0000"'`, `'1'`],
  ['json', `'{"n": 1e200000}'`, `'1'`],
  ['json', `'1e200000'`, `'1'`],
  ['with_json', `row('"\\u0000"')::with_json`, 'null'],
];

test('a value that cannot be restored from its JSON is not undone', async () => {
  await client.query(`create type cast_to_json as enum ('x', 'y');
    create domain domain_of_cast as cast_to_json;
    create type with_cast as (n int, c domain_of_cast); create type with_json as (j json);
    create function made_json(cast_to_json) returns json language sql as $$
      select json_build_object('is', $1::text) $$;
    create cast (cast_to_json as json) with function made_json(cast_to_json)`);
  for (const [index, [type, before, after]] of LOST.entries()) {
    const table = `lost_${index}`;
    await client.query(`create table ${table} (id int primary key, x ${type}, note text)`);
    await createTrigger(client, table);
    await client.query(`insert into ${table} values (1, ${before}, 'a')`);
    const last = async () => (await historyOf(database, client, { table, id: '1' })).undoLast();
    await client.query(`update ${table} set note = 'b'`);
    await client.query(await last());
    await client.query(`update ${table} set x = ${after}`);
    await expect(last(), type).rejects.toMatchObject({
      code: 'undo_impossible',
      message: expect.stringContaining(
        `the JSON of x (${type}) in the log does not say what its value was`,
      ),
    });
    await client.query(`update ${table} set x = null; insert into ${table} values (2, null, null)`);
    await client.query(`delete from ${table} where id = 1`);
    await client.query(await last());
    expect((await client.query(`select id from ${table} order by id`)).rowCount).toBe(2);
  }
});

test.each([
  ...[
    `xml '<a b="1"/>'`,
    `int2vector '1 2'`,
    `regclass 'pg_class'`,
    `tsquery 'a & b'`,
    `jsonpath '$.a'`,
  ],
  ...[
    `"char" 'x'`,
    `'{[1.5,2)}'::nummultirange`,
    `'{"(1,2),(3,4)"}'::box[]`,
    `polygon '((1,2),(3,4))'`,
  ],
  ...[`'-Infinity'::numeric`, `'-1 mon +2 days -03:00'::interval`, `'0044-03-15 BC'::date`],
  ...[`'\\x00ff'::bytea`, `'{"a": [1, {"b": "\\\\u0000"}]}'::json`, `cidr '10.0.0.0/8'`, `B'101'`],
])('a value of any other type is undone: %s', async (value) => {
  await client.query(`create table any_type as select 1 as id, ${value} as x, 'a' as note;
    alter table any_type add primary key (id)`);
  try {
    await createTrigger(client, 'any_type');
    const contentsOf = async () => (await client.query('select * from any_type')).rows;
    const before = await contentsOf();
    await client.query('update any_type set x = null');
    const updated = await historyOf(database, client, { table: 'any_type', id: '1' });
    await client.query(await updated.undoLast());
    expect(await contentsOf()).toEqual(before);
    await client.query('delete from any_type');
    const deleted = await historyOf(database, client, { table: 'any_type', id: '1' });
    await client.query(await deleted.undoLast());
    expect(await contentsOf()).toEqual(before);
  } finally {
    await client.query('drop table any_type');
  }
});
