import { beforeAll, describe, expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { captureTable, changesOf, shortChangesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';
import { some } from '../helpers/whole.ts';

/** Goal: values that are equal to PostgreSQL make one key, so a row's changes keep their order. */

const database = useDatabase();

test.each([
  ['alone', 'id numeric primary key', {}, ':1', ':2.5'],
  ['row', 'id numeric primary key', { forEach: 'row' }, ':1', ':2.5'],
  ['option', 'id numeric primary key', { exclude: ['note'] }, ':1', ':2.5'],
  ['scaled', 'id numeric(9, 3) primary key', {}, ':1', ':2.5'],
  [
    'composite',
    `id numeric, b text default 'x.0', primary key (id, b)`,
    {},
    ':[1, "x.0"]',
    ':[2.5, "x.0"]',
  ],
] as const)(
  'equal numbers have one key, whatever their trailing zeros: %s',
  async (kind, columns, options, one, two) => {
    const name = `numbers_${kind}`;
    await captureTable(database, name, `${columns}, note text`, options);
    await database.query(`insert into ${name} (id) values (1.0), (2.50)`);
    await database.query(`update ${name} set id = 1.000 where id = 1`);
    await database.query(`delete from ${name} where id = 1`);
    await database.query(`insert into ${name} (id) values (1)`);
    await database.query(`update ${name} set id = 2 where id = 1`);
    const actions = (await shortChangesOf(database, name)).map((text) => text.split(' ')[0]);
    expect(actions).toEqual(['INSERT', 'INSERT', 'UPDATE', 'DELETE', 'INSERT', 'DELETE', 'INSERT']);
    const keys = (await changesOf(database, name)).map(({ key }) =>
      key.replace(`public.${name}`, ''),
    );
    expect(keys).toEqual([one, two, one, one, one, one, one.replace('1', '2')]);
  },
);

const KINDS: [
  name: string,
  type: string,
  first: string,
  equal: string,
  key: string,
  actions: string,
][] = [
  ['deep domain', 'n3', '1.0', '1.00', '1', 'INSERT UPDATE'],
  ['array', 'numeric[]', `'{1.0,2}'`, `'{1.00,2.0}'`, '[1, 2]', 'INSERT UPDATE'],
  ['composite', 'pair', 'row(1.0, 1)', 'row(1.00, 1)', '{"a": 1, "b": 1}', 'INSERT UPDATE'],
  ['jsonb', 'jsonb', `'{"a": [1.0]}'`, `'{"a": [1.00]}'`, '{"a": [1]}', 'INSERT UPDATE'],
  ['float', 'float8', `'-0'`, '0', '0', 'INSERT UPDATE'],
  ['char', 'char(4)', `'a'`, `'a  '`, 'a   ', 'INSERT UPDATE'],
  ['interval', 'interval', `'1 day'`, `'24 hours'`, '1 day', 'INSERT DELETE INSERT'],
  ['domain of interval', 'span', `'1 mon -1 day'`, `'29 days'`, '29 days', 'INSERT DELETE INSERT'],
  ['unlimited char', 'bpchar', `'a'`, `'a  '`, 'a', 'INSERT DELETE INSERT'],
];

/** Texts that a collation without accents and case treats as equal. */
const COLLATED: [name: string, type: string, first: string, equal: string][] = [
  ['accents', 'text collate ci', `'É'`, `'e'`],
  ['sharp s', 'text collate ci', `'Straße'`, `'STRASSE'`],
  ['kana', 'text collate ci', `'カ'`, `'か'`],
  ['ligature', 'varchar collate ci', `'œuvre'`, `'oeuvre'`],
  ['stroke', 'text collate ci', `'ł'`, `'L'`],
  ['ignored character', 'text collate ci', `e'x\\u00ady'`, `'xy'`],
  ['unlimited char', 'bpchar collate ci', `'É'`, `'e  '`],
  ['domain', 'folded', `'É'`, `'e'`],
];

describe('values that are equal but written differently have one key', () => {
  beforeAll(() =>
    database.query(`create domain n1 as numeric; create domain n2 as n1; create domain n3 as n2;
      create type pair as (a numeric, b int); create domain span as interval;
      create collation ci (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
      create domain folded as text collate ci`),
  );

  test.each(some(KINDS))('%s', async (name, type, first, equal, key, actions) => {
    for (const forEach of ['statement', 'row'] as const) {
      const table = `equal_${name.replaceAll(' ', '_')}_${forEach}`;
      await captureTable(database, table, `id ${type} primary key, v int`, { forEach });
      await database.query(`insert into ${table} (id) values (${first});
        update ${table} set id = ${equal}`);
      const changes = await changesOf(database, table);
      expect(changes.map(({ payload }) => payload.action).join(' ')).toBe(actions);
      expect([...new Set(changes.map((change) => change.key))]).toEqual([`public.${table}:${key}`]);
    }
  });

  test.each(some(COLLATED))('%s, by a collation', async (name, type, first, equal) => {
    for (const forEach of ['statement', 'row'] as const) {
      const table = `collated_${name.replaceAll(' ', '_')}_${forEach}`;
      await captureTable(database, table, `id ${type} primary key`, { forEach });
      await database.query(`insert into ${table} values (${first}), ('other');
        update ${table} set id = ${equal} where id = ${equal}`);
      const keys = (await changesOf(database, table)).map((change) => change.key);
      expect(keys).toHaveLength(4);
      expect([keys[2], keys[3]]).toEqual([keys[0], keys[0]]);
      expect(keys[1]).not.toBe(keys[0]);
    }
  });

  test('a collation that may not be used: all rows of the table have one key', async () => {
    const { name, url } = await createRole(database, 'collation');
    await database.query(`create schema closed;
      create collation closed.own (provider = icu, locale = 'und', deterministic = false);
      create table hidden (id text collate closed.own primary key);
      grant usage on schema pgwatch to "${name}";
      grant execute on function pgwatch.collated_hash(oid, text, text) to "${name}"`);
    const hashes = await withConnection({ url }, (client) =>
      client.query(
        `select pgwatch.collated_hash('hidden'::regclass, 'id', text) as hash
         from unnest('{a,b}'::text[]) as text`,
      ),
    );
    expect(hashes.rows).toEqual([{ hash: '' }, { hash: '' }]);
  });

  test('a retyped key column and a handwritten trigger have one key, too', async () => {
    await captureTable(database, 'retyped', 'id int primary key');
    await database.query(`alter table retyped alter column id type numeric;
      insert into retyped values (1.0); update retyped set id = 1.00`);
    expect(await shortChangesOf(database, 'retyped')).toEqual(['INSERT 1', 'UPDATE 1 nothing']);
    await database.query(`create table hand (id interval primary key);
      create trigger t after insert or update on hand for each row
        execute function notify_data_change();
      insert into hand values ('1 day'); update hand set id = '24 hours'`);
    expect((await changesOf(database, 'hand')).map(({ key }) => key)).toEqual(
      Array(3).fill('public.hand:1 day'),
    );
  });

  test('the largest intervals work as keys, too', async () => {
    await captureTable(database, 'largest', 'id interval primary key');
    await database.query(
      `insert into largest values ('178000000 years 11 mons 2147483647 days'),
        ('-178000000 years')`,
    );
    expect(await changesOf(database, 'largest')).toHaveLength(2);
  });
});

test('texts that look like numbers are left as they are', async () => {
  await captureTable(database, 'versions', 'id text primary key', { columns: ['id'] });
  await database.query(`insert into versions values ('1.0'), ('1.00')`);
  expect((await changesOf(database, 'versions')).map(({ key }) => key)).toEqual([
    'public.versions:1.0',
    'public.versions:1.00',
  ]);
});

test.each([
  ['statement', 'in two statements'],
  ['row', 'within a statement'],
] as const)(
  'a key that two rows may share for a while gets a warning: for each %s',
  async (forEach, when) => {
    const columns = 'id int primary key deferrable';
    const { warnings } = await captureTable(database, `shared_${forEach}`, columns, { forEach });
    expect(warnings).toEqual([
      `The primary key of public.shared_${forEach} is deferrable: if two rows have the same ` +
        `key for a while, for example when they swap keys ${when}, the DELETE of one comes ` +
        'after the INSERT of the other.',
    ]);
  },
);
