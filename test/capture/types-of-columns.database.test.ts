import { expect, test } from 'vitest';
import { unionText } from '../../src/capture/types/json-type.ts';
import { printTypes } from '../../src/capture/types/print.ts';
import { readRowShapes } from '../../src/capture/types/shape.ts';
import { parseJson } from '../../src/json.ts';
import { captureTable } from '../helpers/captured.ts';
import { compile } from '../helpers/compiling.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: the generated type of a column matches what a consumer gets, and is no wider than necessary.
Method: a table with a column of each type gets rows with values at the limits. Their JSON in the
log is written into a program as literals, and the compiler checks them against the column's type. A
value that the type must not allow is checked, too.
*/

const database = useDatabase();

const MOOD = `'fine' | 'it\\'s "so\\\\so"' | 'two\\nlines' | '*/ 🙂 // '`;
const PLACE =
  `{ street: string | null; 'zip code': number | null; ` +
  `moods: (${MOOD} | null)[] | null; sure: string }`;

const TYPES = `
  create type mood as enum ('fine', 'it''s "so\\so"', E'two\nlines', '*/ 🙂 // ');
  create type shade as enum ('dark');
  create function shade_json(shade) returns json
    language sql immutable return '{"dark": true}'::json;
  create cast (shade as json) with function shade_json(shade);
  create type nothing as enum ();
  create domain cents as int8 check (value >= 0);
  create domain sure as text not null;
  create domain surer as sure;
  create domain grid as int[][];
  create type place as (street text, "zip code" int, moods mood[], sure sure);
  create domain home as place;
  create table other (id int primary key, note text not null)`;

/** Type, TypeScript, a wrong value, values. */
const COLUMNS: [string, string, string | null, ...string[]][] = [
  ['bool', 'boolean | null', '1', 'true', 'false'],
  ['int2', 'number | null', "'1'", '-32768'],
  ['int4', 'number | null', "'1'", '2147483647'],
  ['int8', 'number | string | null', 'true', '1', '9007199254740993', '-9223372036854775808'],
  ['numeric', 'number | string | null', 'true', '0.5', "'NaN'", '1e30', '0.30000000000000000001'],
  ['numeric(10,2)', 'number | string | null', 'true', '1.10'],
  ['float4', 'number | string | null', 'true', '1.5', "'NaN'", '3.4e38'],
  ['float8', 'number | string | null', 'true', '0.1', "'Infinity'", '1e300', '5e-324'],
  ['money', 'string | null', '1', '12.34'],
  ['oid', 'string | null', '1', '42'],
  ['text', 'string | null', '1', `E'\\u2028"'`],
  ['varchar(5)', 'string | null', '1', "'a'"],
  ['char(5)', 'string | null', '1', "'a'"],
  ['name', 'string | null', '1', "'a'"],
  ['"char"', 'string | null', '1', "'a'"],
  ['uuid', 'string | null', '1', 'gen_random_uuid()'],
  ['date', 'string | null', '1', "'2026-02-28'", "'infinity'", "'0044-03-15 BC'"],
  ['time', 'string | null', '1', "'24:00'"],
  ['timetz', 'string | null', '1', "'12:00+02'"],
  ['timestamp', 'string | null', '1', "'2026-02-28 12:00'", "'-infinity'"],
  ['timestamptz', 'string | null', '1', 'now()', "'infinity'"],
  ['interval', 'string | null', '1', "'1 year -3 days'"],
  ['bytea', 'string | null', '1', `'\\x00ff'`],
  ['inet', 'string | null', '1', "'::1/64'"],
  ['macaddr8', 'string | null', '1', "'08:00:2b:01:02:03:04:05'"],
  ['point', 'string | null', '1', "'(1,2)'"],
  ['int4range', 'string | null', '1', "'[1,5)'", "'empty'"],
  ['nummultirange', 'string | null', '1', "'{[1,2],(5,)}'"],
  ['bit(3)', 'string | null', '1', "B'101'"],
  ['tsvector', 'string | null', '1', "'a b'"],
  ['tsquery', 'string | null', '1', "'a & b'"],
  ['jsonpath', 'string | null', '1', "'$.a'"],
  ['pg_lsn', 'string | null', '1', "'0/1'"],
  ['xid8', 'string | null', '1', "'7'"],
  ['regclass', 'string | null', '1', "'other'"],
  ['int2vector', '(number | null)[] | null', "['1']", "'1 2'"],
  ['json', 'unknown', null, `'{"a": [1]}'`, "'null'", "'7'"],
  ['jsonb', 'unknown', null, `'"text"'`, "'12345678901234567890'"],
  [
    'mood',
    `${MOOD} | null`,
    "'wrong'",
    "'fine'",
    `'it''s "so\\so"'`,
    `E'two\nlines'`,
    "'*/ 🙂 // '",
  ],
  ['shade', 'unknown', null, "'dark'"],
  ['nothing', 'null', "''"],
  ['cents', 'number | string | null', 'true', '7'],
  ['int[]', '(number | null)[] | null', "['1']", "'{1,null}'", "'{}'", "'[5:6]={1,2}'"],
  ['int[][]', '(number | null)[][] | null', '[1]', "'{{1,null},{2,3}}'", "'{}'"],
  ['int8[]', '(number | string | null)[] | null', '[true]', "'{1,9007199254740993}'"],
  ['mood[]', `(${MOOD} | null)[] | null`, "['wrong']", "'{fine,null}'"],
  ['jsonb[]', 'unknown[] | null', '1', "array['{}', 'null', null]::jsonb[]"],
  ['sure[]', 'string[] | null', '[null]', "'{a,b}'"],
  ['grid', '(number | null)[][] | null', '[1]', "'{{1},{2}}'"],
  [
    'place',
    `${PLACE} | null`,
    "{ street: '' }",
    `row('a', 1, '{fine,null}', 's')`,
    `row(null, null, null, 's')`,
  ],
  ['place[]', `(${PLACE} | null)[] | null`, '[{}]', `array[row('a', 1, null, 's'), null]::place[]`],
  ['home', `${PLACE} | null`, '{}', `row('a', 1, '{}', 's')`],
  [
    'other',
    '{ id: number | null; note: string | null } | null',
    '{}',
    "row(1, 'a')",
    'row(null, null)',
  ],
];

test('the type of each column is what consumers get', async () => {
  await database.query(TYPES);
  const definitions = COLUMNS.map(([type], index) => `c${index} ${type}`);
  await captureTable(database, 'every', ['id int primary key', ...definitions].join(', '));
  for (const [index, [, , , ...values]] of COLUMNS.entries()) {
    for (const [at, value] of [...values, 'null'].entries()) {
      await database.query(
        `insert into every (id, c${index}) values (${index * 10 + at}, ${value})`,
      );
    }
  }
  const { rows } = await database.query(
    'select new_row::text as row from pgwatch.notification_log order by id',
  );
  const shapes = await readRowShapes(await database.connect(), database.config);
  const lines = rows.map(
    ({ row }, index) => `export const row${index}: Every = ${JSON.stringify(parseJson(row))};`,
  );
  for (const [index, [type, expected, wrong]] of COLUMNS.entries()) {
    const written = unionText(shapes[0]?.columns.get(`c${index}`) ?? []);
    expect(`${type}: ${written}`).toBe(`${type}: ${expected}`);
    if (wrong === null) continue;
    lines.push('// @ts-expect-error', `export const w${index}: Every['c${index}'] = ${wrong};`);
  }
  const use = ["import type { Every } from './types.ts';", ...lines].join('\n');
  expect(await compile({ 'types.ts': printTypes(shapes), 'use.ts': use })).toBe('');
});
