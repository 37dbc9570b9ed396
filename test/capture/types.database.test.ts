import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { printTypes } from '../../src/capture/types/print.ts';
import { readRowShapes } from '../../src/capture/types/shape.ts';
import { captureTable } from '../helpers/captured.ts';
import { compile } from '../helpers/compiling.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();
const VIRTUAL = 'virtual int generated always as (id * 2) virtual';

/** The output for a schema's tables: the row types, and the entries of CapturedTables. */
async function typesOf(schema: string): Promise<string> {
  const client = await database.connect();
  const shapes = await readRowShapes(client, database.config);
  return printTypes(shapes.filter((shape) => shape.schema === schema));
}

/** The row types and the lines of the entries, without the text around them. */
async function written(schema: string): Promise<string[]> {
  const text = await typesOf(schema);
  return [...text.matchAll(/^(?:export type| {4}'| {6}(?:id|updatedRow):).*|^ {2}\S.*;$/gm)]
    .map(([line]) => line.trim())
    .filter((line) => !line.startsWith('interface'));
}

test('the whole file for a plain table', async () => {
  await database.query('create schema plain');
  await captureTable(
    database,
    'plain.users',
    'id int primary key, email text not null, "full name" text, born date',
  );
  expect(await typesOf('plain')).toBe(`\
// Written by "pgwatch types": the rows of the captured tables in notifications. Do not edit.
// After a change of the tables or of their capture: npx pgwatch types --out THIS_FILE
import type {} from 'pgwatch';

export type PlainUsers = {
  id: number;
  email: string;
  'full name': string | null;
  born: string | null;
};

declare module 'pgwatch' {
  interface CapturedTables {
    'plain.users': {
      schema: 'plain';
      table: 'users';
      id: number;
      row: PlainUsers;
      updatedRow: PlainUsers;
    };
  }
}
`);
});

test('without a captured table the file is a module, and changes stay loosely typed', async () => {
  const use = `import type { Change } from 'pgwatch';
    export const anything = (change: Change) => change.action === 'INSERT' && change.new.email;
    export const id = (change: Change) => change.table === 'whatever' && change.id;`;
  expect(await compile({ 'types.ts': await typesOf('none'), 'use.ts': use })).toBe('');
});

test('payload, exclude and key decide the columns of a row, and which are required', async () => {
  const columns = 'tenant int, id bigint, state text, secret text, primary key (tenant, id)';
  await database.query('create schema o');
  await captureTable(database, 'o.a_excluded', columns, { exclude: ['secret'] });
  await captureTable(database, 'o.b_keys', columns, { payload: 'keys', key: ['state'] });
  await captureTable(database, 'o.c_changed', columns, { payload: 'changed', exclude: ['secret'] });
  await captureTable(database, 'o.d_keyless', 'a int, b int not null');
  await captureTable(database, 'o.e_key', 'a int, b int not null', { key: ['a'] });
  await captureTable(database, 'o.f_keyless', 'a int', { payload: 'changed' });
  await captureTable(database, 'o.g_nothing', 'a int', { payload: 'keys' });
  expect(await written('o')).toEqual([
    ...['export type OAExcluded = {', 'tenant: number;', 'id: number | string;'],
    'state: string | null;',
    ...['export type OBKeys = {', 'tenant: number;', 'id: number | string;'],
    'state: string | null;',
    ...['export type OCChanged = {', 'tenant: number;', 'id: number | string;'],
    'state: string | null;',
    ...['export type ODKeyless = {', 'a: number | null;', 'b: number;'],
    ...['export type OEKey = {', 'a: number | null;', 'b: number;'],
    ...['export type OFKeyless = {', 'a: number | null;'],
    'export type OGNothing = Record<string, never>;',
    "'o.a_excluded': {",
    ...['id: { tenant: number; id: number | string };', 'updatedRow: OAExcluded;'],
    "'o.b_keys': {",
    ...['id: { tenant: number; id: number | string };', 'updatedRow: OBKeys;'],
    "'o.c_changed': {",
    'id: { tenant: number; id: number | string };',
    "updatedRow: Partial<OCChanged> & Pick<OCChanged, 'tenant' | 'id'>;",
    ...["'o.d_keyless': {", 'id: null;', 'updatedRow: ODKeyless;'],
    ...["'o.e_key': {", 'id: number | null;', 'updatedRow: OEKey;'],
    ...["'o.f_keyless': {", 'id: null;', 'updatedRow: Partial<OFKeyless>;'],
    ...["'o.g_nothing': {", 'id: null;', 'updatedRow: OGNothing;'],
  ]);
});

test('two different handwritten triggers make one type that fits both', async () => {
  await database.query(`create schema h;
    create table h.manual (id int primary key, a text not null, b text);
    create trigger one after insert on h.manual for each row execute function notify_data_change();
    create trigger two after insert on h.manual for each row
      execute function notify_data_change('other', '{"exclude": ["a"], "payload": "changed"}')`);
  expect(await written('h')).toEqual([
    ...['export type HManual = {', 'id: number;', 'a?: string;', 'b: string | null;'],
    ...["'h.manual': {", 'id: number;'],
    "updatedRow: Partial<HManual> & Pick<HManual, 'id'>;",
  ]);
});

test('partitions have the name of the whole table, even if captured by themselves', async () => {
  await database.query(`create schema p;
    create table p.whole (id int not null, at date not null, note text) partition by range (at);
    create table p.a partition of p.whole for values from ('2026-01-01') to ('2026-02-01');
    create table p.b partition of p.whole default;
    alter table p.whole add primary key (id, at);
    create table p.c partition of p.whole for values from ('2026-02-01') to ('2026-03-01');
    create trigger t after insert on p.c for each row execute function notify_data_change('c');
    create table p.own partition of p.whole for values from ('2026-03-01') to ('2026-04-01');
    create trigger t after insert on p.own for each row
      execute function notify_data_change('d', '{"id": ["id"]}')`);
  const client = await database.connect();
  await createTrigger(client, 'p.a');
  await createTrigger(client, 'p.b', { payload: 'changed' });
  expect(await written('p')).toEqual([
    ...['export type POwn = {', 'id: number;', 'at: string;', 'note: string | null;'],
    ...['export type PWhole = {', 'id: number;', 'at: string;', 'note: string | null;'],
    ...["'p.own': {", 'id: number;', 'updatedRow: POwn;'],
    ...["'p.whole': {", 'id: { id: number; at: string };'],
    "updatedRow: Partial<PWhole> & Pick<PWhole, 'id' | 'at'>;",
  ]);
});

test('an unvalidated constraint does not count, and virtual columns are in no row', async () => {
  const { rows } = await database.query("select current_setting('server_version_num')::int as n");
  const isNew = rows[0].n >= 180_000;
  await database.query('create schema v');
  await captureTable(
    database,
    'v.t',
    ['id int primary key, old int', ...(isNew ? [VIRTUAL] : [])].join(', '),
  );
  if (isNew) await database.query('alter table v.t add constraint n not null old not valid');
  expect(await written('v')).toEqual([
    ...['export type VT = {', 'id: number;', 'old: number | null;'],
    ...["'v.t': {", 'id: number;', 'updatedRow: VT;'],
  ]);
});
