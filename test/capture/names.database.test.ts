import { readFileSync } from 'node:fs';
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { beginSnapshot, copyBatch } from '../../src/capture/snapshot.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import type { TriggerOptions } from '../../src/config/triggers.ts';
import { captureTable, changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { some } from '../helpers/whole.ts';
import { historyOf } from '../inspect/history-of.ts';

/*
Goal: no column name can collide with a name in our SQL.
Method: tables whose columns are named like every word of our SQL: variables, parameters, aliases,
transition tables, functions, keywords.
*/

const database = useDatabase();
const FILES = ['0003_publish.sql', '0004_capture.sql'].map((name) => `sql/migrations/${name}`);
/** Every table has these already. */
const SYSTEM = ['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid'];
const ODD = [
  'old',
  'new',
  'OLD',
  'a.b',
  '"',
  "'",
  '$1',
  '%I',
  'é'.repeat(31),
  '🔔',
  ' ',
  '\\',
  '*',
];

const names = [
  ...new Set([...FILES, 'src/capture/snapshot-sql.ts'].flatMap(wordsIn)),
  ...ODD,
].filter((name) => !SYSTEM.includes(name) && name !== 'id');

function wordsIn(file: string): string[] {
  return readFileSync(file, 'utf8').match(/\b[a-z_][a-z0-9_]{0,62}\b/g) ?? [];
}

const quoted = (name: string) => pg.escapeIdentifier(name);

beforeAll(() => database.query(`create type named as (data int, given int, "row" int)`));

test.each(
  some([
    ['plain', {}],
    ['row', { forEach: 'row' }],
    ['keys', { payload: 'keys' }],
    ['changed', { payload: 'changed' }],
    ['always', { notify: 'always' }],
    ['excluded', { exclude: ['data'] }],
    ['columns', { columns: ['has_json', 'data', 'change'] }],
    ['when', { when: 'new.data is not null', operations: ['insert', 'update'] }],
  ] as [string, TriggerOptions][]),
)('columns with all the names of our SQL are captured: %s', async (kind, options) => {
  expect(names.length).toBeGreaterThan(400);
  // Several tables: a table has at most 1,600 columns, and a row of fixed values must fit one page.
  for (let first = 0; first < names.length; first += 700) {
    const some = [...new Set([...names.slice(first, first + 700), 'has_json', 'data', 'change'])];
    const table = `named_${kind}_${first}`;
    const columns = some.map((name, index) => `${quoted(name)} ${TYPES[index] ?? 'boolean'}`);
    await captureTable(database, table, `id int primary key, ${columns.join(', ')}`, options);
    await database.query(`insert into ${table} (id, "data", "has_json") values (1, null, null)`);
    await database.query(
      `update ${table} set ${some.map((name) => `${quoted(name)} = default`).join(', ')}`,
    );
    await database.query(`update ${table} set id = 2; delete from ${table}`);
    expect((await changesOf(database, table)).length).toBeGreaterThanOrEqual(
      kind === 'when' ? 0 : 4,
    );
  }
});

const TYPES = ['named', 'json', 'text'];

test.each(
  some([
    ...['data', 'key', 't', 'next', 'locked', 'entry', 'value', 'given', 'was', 'found', 'row'],
    ...['select', 'OLD', 'a"b', 'x'.repeat(63)],
  ]),
)('a key column called %s works', async (name) => {
  const table = quoted(`of ${name}`.slice(0, 63));
  const client = await database.connect();
  await client.query(`create table ${table} (${quoted(name)} int primary key, "old_data" json)`);
  await client.query(`insert into ${table} select n, '1' from generate_series(1, 30) as n`);
  await createTrigger(client, table);
  await client.query(`update ${table} set "old_data" = '"\\u0000"' where ${quoted(name)} = 7`);
  const { rows } = await client.query('select key from pgwatch.notification_log order by id');
  expect(rows.at(-1)?.key).toMatch(/:7$/);
  const states = await readCaptureStates(client, database.config);
  const state = states.find((each) => quoted(each.table.name) === table);
  if (!state) throw new Error(`${table} is not captured`);
  const snapshot = { consumerId: `of ${name}`.slice(0, 20), table: state.table, batchSize: 8 };
  await beginSnapshot(client, database.config, snapshot, false);
  const done: number[] = [];
  for (let copied: { done: number; isFinished: boolean } | null = null; !copied?.isFinished; ) {
    copied = await copyBatch(client, database.config, snapshot);
    if (copied) done.push(copied.done);
  }
  // The batches show that the last key is read from the key column, not from another column of that
  // name.
  expect(done).toEqual([8, 16, 24, 30, 30]);
  const history = await historyOf(database, client, { table, id: '7' });
  expect(history.versions.length).toBeGreaterThan(0);
  await client.end();
});
