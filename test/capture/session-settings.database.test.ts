import { expect, test } from 'vitest';
import { captureTable, changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: the notification of a row does not depend on the settings of the session that wrote it.
Otherwise one row could have two keys, and lose its order, or numbers could lose digits.
*/

const database = useDatabase();

const COLUMNS = `at timestamptz, bytes bytea, ratio float8, date date, span interval,
  range tstzrange, relation regclass, primary key (at)`;
const ROW = `'2026-01-02 03:04:05Z', '\\x00ff', 1 / 3.0::float8, '2026-01-02', '-1 day 2 hours',
  '[2026-01-02 03:04:05Z,)', 'pg_class'`;
const ODD = `set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set bytea_output = 'escape';
  set extra_float_digits = -5; set intervalstyle = 'sql_standard';
  set quote_all_identifiers = on`;

test.each([
  ['statement', {}],
  ['row', { forEach: 'row' }],
  ['statement with options', { columns: ['ratio'] }],
  ['row with options', { columns: ['ratio'], forEach: 'row' }],
] as const)('rows are written alike under any settings: for each %s', async (kind, options) => {
  const name = kind.replaceAll(' ', '_');
  await captureTable(database, name, COLUMNS, options);
  const [usual, odd] = [await database.connect(), await database.connect()];
  await odd.query(ODD);
  await usual.query(`insert into ${name} values (${ROW})`);
  await odd.query(`delete from ${name}`);
  const [inserted, deleted] = await changesOf(database, name);
  expect(inserted?.key).toBe(`public.${name}:2026-01-02T03:04:05+00:00`);
  expect(deleted?.key).toBe(inserted?.key);
  expect(deleted?.payload.old_data).toEqual(inserted?.payload.new_data);
  expect(deleted?.payload.old_data).toMatchObject({
    ratio: 1 / 3,
    bytes: '\\x00ff',
    relation: 'pg_class',
  });
});

test('an update counts even if only the last digits of a number differ', async () => {
  const columns = 'id float8 primary key, ratio float8';
  await captureTable(database, 'digits', columns, { columns: ['ratio'] });
  await captureTable(database, 'exact', 'id float8 primary key');
  const client = await database.connect();
  await client.query('set extra_float_digits = -5');
  await client.query('insert into digits values (1, 0.1); insert into exact values (0.3)');
  await client.query('update digits set ratio = ratio + 1e-15');
  await client.query('update exact set id = 0.1::float8 + 0.2::float8');
  expect((await changesOf(database, 'digits')).map(({ payload }) => payload.action)).toEqual([
    'INSERT',
    'UPDATE',
  ]);
  expect((await changesOf(database, 'exact')).map(({ key }) => key)).toEqual([
    'public.exact:0.3',
    'public.exact:0.3',
    'public.exact:0.30000000000000004',
  ]);
});

test('the writer keeps its settings', async () => {
  await captureTable(database, 'kept', 'id int primary key');
  const client = await database.connect();
  await client.query(ODD);
  await client.query('begin; insert into kept values (1); commit');
  const { rows } = await client.query(
    `select current_setting('timezone') as timezone, current_setting('datestyle') as dates`,
  );
  expect(rows).toEqual([{ timezone: 'Asia/Tokyo', dates: 'German, DMY' }]);
});
