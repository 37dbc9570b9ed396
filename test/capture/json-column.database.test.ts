import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { captureTable, changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';

/* Goal: no write fails because a json column holds what jsonb cannot. */

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
] as const)('text that jsonb cannot hold is replaced: %s', async (name, options) => {
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
])('types that contain json are handled, too: %s', async (type, value) => {
  if (type === 'json_domain') await database.query('create domain json_domain as json');
  if (type === 'json_composite') await database.query('create type json_composite as (part json)');
  const table = `of_${type.replace('[]', 's')}`;
  await captureTable(database, table, `id int primary key, made ${type}`);
  await database.query(`insert into ${table} values (1, ${value})`);
  expect(JSON.stringify(await changesOf(database, table))).toContain('\ufffd');
});

/** Types that contain json somewhere, and a value of each. */
const DEEP: [type: string, value: string][] = [
  ['j2', `'"\\u0000"'`],
  ['j1[]', `array['"\\u0000"'::j1]`],
  ['ja', `array['"\\u0000"'::json]`],
  ['c2', `row(row(1, '"\\u0000"'::j2)::c1)`],
  ['c2[]', `array[row(row(1, '"\\u0000"'::j2)::c1)::c2]`],
  ['dc', `row(1, '"\\u0000"'::j2)`],
  ['dcs', `array[row(1, '"\\u0000"'::j2)::dc]`],
  ['with_cast', `row('x')`],
];

test('json is found through any number of domains, arrays, composites and casts', async () => {
  await database.query(`create domain j1 as json; create domain j2 as j1;
    create domain ja as json[];
    create type c1 as (n int, j j2); create type c2 as (c c1); create domain dc as c1;
    create domain dcs as dc[]; create type with_cast as enum ('x');
    create function as_json(with_cast) returns json language sql as $$ select '"\\u0000"'::json $$;
    create cast (with_cast as json) with function as_json(with_cast)`);
  for (const [index, [type, value]] of DEEP.entries()) {
    const given = type === 'with_cast' ? `'x'` : value;
    await captureTable(database, `deep_${index}`, `id int primary key, x ${type}`);
    await database.query(`insert into deep_${index} values (1, ${given})`);
    await database.query(`update deep_${index} set id = 2`);
    expect(JSON.stringify(await changesOf(database, `deep_${index}`)), type).toContain('\ufffd');
  }
});

test.each(['statement', 'row'] as const)(
  'columns added after the capture, and changed types, are handled: %s',
  async (forEach) => {
    const table = `later_${forEach}`;
    await captureTable(database, table, 'id int primary key, x text', { forEach });
    await database.query(`alter table ${table} add column j json;
      insert into ${table} (id, j) values (1, '"\\u0000"');
      alter table ${table} drop column j, alter column x type json using to_json(x);
      insert into ${table} (id, x) values (2, '"\\u0000"')`);
    await database.query(`create type grows_${forEach} as (n int);
      alter table ${table} add column g grows_${forEach};
      alter type grows_${forEach} add attribute j json;
      insert into ${table} (id, g) values (3, row(1, '"\\u0000"'))`);
    expect(await changesOf(database, table)).toHaveLength(3);
  },
);

test('json that jsonb refuses for another reason is captured as text', async () => {
  await captureTable(database, 'odd', 'id int primary key, a json, b json, c json');
  const deep = `${'['.repeat(6000)}${']'.repeat(6000)}`;
  const client = await database.connect();
  await client.query(`insert into odd values (1, '{"n": 1e200000}', '"\\u0000"', '{"x": [1]}')`);
  const [change] = await changesOf(database, 'odd');
  expect(change?.payload.new_data).toEqual({
    id: 1,
    a: '{"n": 1e200000}',
    b: '\ufffd',
    c: { x: [1] },
  });
  await client.query('insert into odd (id, a) values (2, $1)', [deep]);
  // As deep as the column accepts.
  await client.query(`do $$ declare low int := 1; high int := 60000; middle int; begin
    create temporary table probe (j json);
    while high - low > 1 loop
      middle := (low + high) / 2;
      begin
        insert into probe values ((repeat('[', middle) || repeat(']', middle))::json);
        low := middle;
      exception when statement_too_complex then high := middle;
      end;
    end loop;
    low := low - 500;
    insert into odd (id, a) values (3, (repeat('[', low) || repeat(']', low))::json);
  end $$`);
  expect(await changesOf(database, 'odd')).toHaveLength(3);
});

const MANY: [where: string, value: string][] = [
  ['in one text', `('"' || repeat('\\u0000', 100000) || '"')::json`],
  ['in many', `(select json_agg('"\\ud83d"'::json) from generate_series(1, 100000))`],
];

test.each(MANY)('escapes take time in proportion to their number: %s', async (_, value) => {
  const client = await database.connect();
  await client.query('create table if not exists many (json json)');
  await createTrigger(client, 'many');
  // Looking for what precedes each of them from the start of the text would take minutes.
  await client.query(`set statement_timeout = '20s'`);
  await client.query(`insert into many select ${value}`);
  const changes = await changesOf(database, 'many');
  expect(JSON.stringify(changes.at(-1)?.payload).split('\ufffd')).toHaveLength(100_001);
});

test('a handwritten trigger handles json, too', async () => {
  await database.query(`create table by_hand (id int primary key, json json);
    create trigger c after insert on by_hand for each row execute function notify_data_change()`);
  const client = await database.connect();
  await client.query('set standard_conforming_strings = off');
  await client.query('insert into by_hand values (1, $1)', ['"\\u0000"']);
  expect(await changesOf(database, 'by_hand')).toHaveLength(1);
});
