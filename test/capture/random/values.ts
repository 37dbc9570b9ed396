/*
Column types, with values of each as SQL writes them: the usual ones, and those that tend to break.
The limits of JSON itself are left out, and documented: numbers of more than 15 digits inside jsonb,
and arrays that do not begin at 1.
*/
export const TYPES: Readonly<Record<string, readonly string[]>> = {
  smallint: ['0', '-32768'],
  integer: ['0', '1', '-1', '2147483647'],
  bigint: ['7', '9223372036854775807', '-9007199254740993'],
  numeric: ["'NaN'", '1.50', '12345678901234567890.123456789', '-0.0001', '1e100'],
  'numeric(10, 2)': ['1', '12345678.9'],
  real: ['0.1', "'-Infinity'", '3.4e38'],
  'double precision': ['0.1', "'NaN'", "'Infinity'", '5e-324', '1e308', '0.30000000000000004'],
  boolean: ['true', 'false'],
  text: [
    "''",
    `'ünï 🔔 "x" \\ back'`,
    "E'tab\\tnew\\nline'",
    "repeat('long ', 2000)",
    `'{"a": 1}'`,
  ],
  'character varying(10)': ["'abc'", "'0123456789'"],
  'character(5)': ["'ab'", "'     '"],
  '"char"': ["'x'"],
  name: ["'a name'"],
  uuid: ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
  date: ["'2026-02-28'", "'infinity'", "'0044-03-15 BC'"],
  timestamp: ["'2026-01-01 12:00:00.123456'", "'-infinity'"],
  timestamptz: ["'2026-01-01 00:00:00.000001+05:45'", "'infinity'"],
  time: ["'24:00:00'", "'00:00:00.5'"],
  timetz: ["'12:00:00+02'"],
  interval: ["'1 mon -3 days 04:05:06.789'", "'-1 year'"],
  bytea: ["'\\x00ff10'", "''"],
  json: [`'{"a" : [1, null], "a": 2}'`, "'null'", "'[]'"],
  jsonb: [
    `'{"a": {"b": [null, 1.5, "x", {"c": []}]}}'`,
    "'null'",
    `'"text"'`,
    `'{"__proto__": {"x": 1}}'`,
    `(repeat('[', 400) || repeat(']', 400))::jsonb`,
  ],
  'integer[]': ["'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'"],
  'text[]': [`'{"a,b","c\\"d",NULL,""}'`],
  'numeric[]': ["'{1.10,NaN}'"],
  int4range: ["'empty'", "'[1,5)'", "'(,3)'"],
  tstzrange: ["'[2026-01-01 00:00+00,infinity)'"],
  int4multirange: ["'{[1,3),[5,7)}'", "'{}'"],
  inet: ["'10.0.0.1/8'", "'::1'"],
  macaddr: ["'08:00:2b:01:02:03'"],
  'bit varying': ["B'1011'", "B''"],
  'bit(3)': ["B'101'"],
  point: ["'(1.5,-2)'"],
  tsvector: ["'a:1 fat:2 cat:3'"],
  pg_lsn: ["'16/B374D848'"],
  money: ["'12.34'"],
  mood: ["'sad'", '\'very "happy"\''],
  positive: ['1', '42'],
  address: [`row('a, "b"', 7)::address`, 'row(null, null)::address'],
  price: ['1.50', '0', '12345678901234567890.10'],
  item: [`row(2.50, row('a', 1)::address)::item`, 'row(null, null)::item'],
  'item[]': [`array[row(1.0, row('x', null)::address)::item, null]`],
  lines: [`array[row(1.0, null)::item]`],
  note: [`row('{"a": [1.50]}', 'sad')::note`, `row(null, null)::note`],
  'address[]': [`array[row('x', 1)::address, null]`],
};

/** The definitions that some of these types need. */
export const TYPES_SQL = `
create type mood as enum ('sad', 'very "happy"');
create domain positive as integer check (value > 0);
create type address as (street text, number int);
create domain amount as numeric check (value >= 0);
create domain price as amount;
create type item as (price price, place address);
create domain lines as item[];
create domain document as json;
create type note as (body document, mood mood);`;

/** A key's values, made from a small number, so that statements hit the same rows. */
export const KEYS: Readonly<Record<string, (n: number) => string[]>> = {
  integer: (n) => [String(n)],
  bigint: (n) => [String(9007199254740990n + BigInt(n))],
  text: (n) => [`'k "${n}"'`],
  uuid: (n) => [`md5('${n}')::uuid`],
  timestamptz: (n) => [`timestamptz '2026-01-01 00:00:00+00' + ${n} * interval '1 second'`],
  'integer, text': (n) => [String(n % 3), `'part ${n}'`],
  price: (n) => [`${n}.0`],
  interval: (n) => [`interval '${24 * n} hours'`],
  none: () => [],
};

/** Names that occur in practice and break SQL that does not quote them. */
export const NAMES = [
  'plain',
  'Capitals',
  'with space',
  'a.b:c',
  `quo"te'd`,
  '🔔 emoji',
  'select',
  '%I $1',
  'naïve',
  'back\\slash',
];
