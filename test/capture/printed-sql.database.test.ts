import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { planCapture } from '../../src/capture/plan.ts';
import { captureScript } from '../../src/capture/script.ts';
import { findTable } from '../../src/capture/table.ts';
import type { TriggerOptions } from '../../src/config/triggers.ts';
import {
  bootstrapSql,
  grantSql,
  migrationSql,
  readMigrations,
} from '../../src/database/migrations.ts';
import { captureTable } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: SQL that people send through their own tools has the same meaning there.
Method: a question mark is a parameter to Knex and others, which take "\\?" for a literal one; our
SQL has none.
*/

const database = useDatabase();

/** As knex.raw() does it. */
const raw = (text: string) => {
  let number = 0;
  return text.replace(/\\\?|\?/g, (mark) => (mark === '?' ? `$${++number}` : '?'));
};

test('the SQL of the migrations passes through query builders unchanged', async () => {
  const { config } = database;
  const text = [
    bootstrapSql(config),
    ...readMigrations().map((migration) => migrationSql(migration, config)),
    grantSql({ ...config, roles: { publish: ['a'], consume: ['b'], read: ['c'], capture: ['d'] } }),
  ].join('\n');
  expect(raw(text)).toBe(text);
});

test.each([
  {},
  { exclude: ['note'], payload: 'changed' },
  { when: 'new.id > 1', operations: ['insert'] },
] as TriggerOptions[])(
  'the SQL of triggers passes through query builders unchanged: %j',
  async (options) => {
    const client = await database.connect();
    await client.query(`create table if not exists printed (id interval primary key, note jsonb)`);
    const table = await findTable(client, database.config, { schema: null, name: 'printed' }, [
      'public',
    ]);
    const when = options.when && { when: "new.note \\? 'a'" };
    const capture = planCapture(table, { ...options, ...when }, database.config);
    const text = captureScript(capture, database.config).join(';\n');
    if (!options.when) expect(text).not.toContain('?');
    await client.query(raw(text));
  },
);

test('the recipe for Knex escapes question marks in conditions', async () => {
  const recipe = /```js\n(\/\/ migrations[\s\S]*?)```/.exec(
    readFileSync('docs/capture.md', 'utf8'),
  )?.[1];
  const change = /replaceAll\('\?', '(.*?)'\)/.exec(recipe ?? '')?.[1]?.replaceAll('\\\\', '\\');
  expect(change).toBe('\\?');
  await captureTable(database, 'conditional', 'id int primary key, note jsonb');
  const text = `create or replace trigger t after insert on conditional for each row
    when (new.note ? 'a') execute function notify_data_change()`;
  await database.query(raw(text.replaceAll('?', () => change ?? '')));
});

test('no SQL of the docs has a question mark', () => {
  const pages = ['capture', 'consumers', 'guarantees', 'operating', 'publishing'];
  for (const file of ['README.md', ...pages.map((page) => `docs/${page}.md`)]) {
    const blocks = readFileSync(file, 'utf8').match(/```sql\n[\s\S]*?```/g) ?? [];
    expect(blocks.join('\n'), file).not.toContain('?');
  }
});
