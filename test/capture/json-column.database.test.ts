import { expect, test } from 'vitest';
import { captureTable, changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';

/* Goal: no write fails because a column of type json holds what jsonb cannot. */

const database = useDatabase();

/** As SQL writes them, and as they are captured. */
const VALUES: [json: string, captured: unknown][] = [
  ['{"a": "x\\u0000y"}', { a: 'x\ufffdy' }],
  ['"\\ud800"', '\ufffd'],
  ['"\\ude00 \\ud83d\\ude00 \\ud83d"', '\ufffd 😀 \ufffd'],
  ['"\\\\u0000 \\\\\\u0000"', '\\u0000 \\\ufffd'],
  ['["\\u0000\\u0000", "\\ud83d\\ud83d\\ude00", 1]', ['\ufffd\ufffd', '\ufffd😀', 1]],
  ['{"a": 1}', { a: 1 }],
];

test.each([
  ['statement', {}],
  ['row', { forEach: 'row' }],
  ['keys', { payload: 'keys' }],
] as const)('what jsonb cannot hold is replaced: %s', async (name, options) => {
  const table = `json_${name}`;
  await captureTable(database, table, 'id int primary key, json json', options);
  for (const [index, [json]] of VALUES.entries())
    await database.query(`insert into ${table} values ($1, $2)`, [index, json]);
  await database.query(`update ${table} set id = id + 10 where id = 0`);
  await database.query(`update ${table} set json = json where id = 1`);
  await database.query(`delete from ${table}`);
  const changes = await changesOf(database, table);
  expect(changes).toHaveLength(2 * VALUES.length + 3);
  if (name === 'keys') return;
  const inserted = changes.slice(0, VALUES.length);
  expect(inserted.map(({ payload }) => (payload.new_data as { json: unknown }).json)).toEqual(
    VALUES.map(([, captured]) => captured),
  );
});

test.each([
  ['json[]', `array['"\\u0000"']::json[]`],
  ['json_domain', `'"\\u0000"'`],
  ['json_composite', `row('"\\u0000"')::json_composite`],
])('types that are made of json, too: %s', async (type, value) => {
  if (type === 'json_domain') await database.query('create domain json_domain as json');
  if (type === 'json_composite') await database.query('create type json_composite as (part json)');
  const table = `of_${type.replace('[]', 's')}`;
  await captureTable(database, table, `id int primary key, made ${type}`);
  await database.query(`insert into ${table} values (1, ${value})`);
  expect(JSON.stringify(await changesOf(database, table))).toContain('\ufffd');
});

test('a trigger that was written by hand knows, too', async () => {
  await database.query(`create table by_hand (id int primary key, json json);
    create trigger c after insert on by_hand for each row execute function notify_data_change()`);
  const client = await database.connect();
  await client.query('set standard_conforming_strings = off');
  await client.query('insert into by_hand values (1, $1)', ['"\\u0000"']);
  expect(await changesOf(database, 'by_hand')).toHaveLength(1);
});
