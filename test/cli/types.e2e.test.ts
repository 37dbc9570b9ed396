import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { compile } from '../helpers/compiling.ts';
import { useDatabase } from '../helpers/database.ts';
import { makeProject } from '../helpers/project.ts';

const database = useDatabase();

/** Runs pgwatch types; reports come without their times. */
async function types(args: readonly string[], cwd = makeProject({})) {
  const result = await runCli(['types', ...args], { env: { DATABASE_URL: database.url }, cwd });
  return { ...result, said: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '').trimEnd() };
}

async function capture(definition: string, ...options: string[]): Promise<void> {
  await database.query(`create table ${definition}`);
  const [table = ''] = definition.split(' ');
  const env = { DATABASE_URL: database.url };
  const args = ['trigger', 'add', table, ...options];
  expect((await runCli(args, { env })).exitCode).toBe(0);
}

test('--out writes once, leaves a current file alone, and --check only reports', async () => {
  const cwd = makeProject({});
  const file = join(cwd, 'types.ts');
  expect((await types(['--out', 'types.ts', '--check'], cwd)).said.split('\n')).toEqual([
    'warning No tables are captured, so there are no types. ' +
      'Start with "pgwatch trigger add users".',
    'Different: types.ts does not exist. Run "pgwatch types --out types.ts".',
  ]);
  expect(existsSync(file)).toBe(false);

  await capture('people (id int primary key, email text not null)');
  const written = await types(['--out', 'types.ts'], cwd);
  expect(written).toMatchObject({ exitCode: 0, stdout: '' });
  expect(written.said).toBe('Written: types.ts, the types of 1 captured table.');
  expect(await types([], cwd)).toMatchObject({ stdout: readFileSync(file, 'utf8'), said: '' });

  // As git may check it out.
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('\n', '\r\n'));
  for (const args of [['--check'], []]) {
    expect(await types(['--out', 'types.ts', ...args], cwd)).toMatchObject({
      exitCode: 0,
      said: 'Unchanged: types.ts has the types of 1 captured table.',
    });
  }
  expect(readFileSync(file, 'utf8')).toContain('\r\n');

  await database.query('alter table people alter email drop not null');
  expect(await types(['--out', 'types.ts', '--check'], cwd)).toMatchObject({
    exitCode: 1,
    said:
      'Different: types.ts does not have the types of the captured tables. ' +
      'Run "pgwatch types --out types.ts".',
  });
  expect((await types(['--out', 'types.ts'], cwd)).said).toBe(
    'Changed: types.ts, the types of 1 captured table.',
  );
  expect(readFileSync(file, 'utf8')).toContain('email: string | null;');
});

test.each([
  [['--check'], '--check requires --out with the file to compare.'],
  [['--out', 'no/such/folder.ts'], 'no/such/folder.ts cannot be written: ENOENT'],
  [['--out', '.'], '. cannot be read: EISDIR'],
  [['--out', 'package.json'], 'package.json was not written by "pgwatch types"'],
])('%j is refused with a sentence', async (args, sentence) => {
  const { exitCode, said } = await types(args);
  expect(said).toContain(sentence);
  expect(exitCode).toBe(2);
});

/** The compiler must complain about each marked line, and about no other. */
const CONSUMER = `
import { type Change, defineConsumer } from 'pgwatch';
import type { AppMembers, Members } from '../pgwatch-types.ts';

const greet = (member: Members): string => member.email.toUpperCase();
const count = (member: AppMembers): number => member.visits;
const nameOf = (change: Change<'app.members'>): 'members' => change.table;

export default defineConsumer({
  channels: ['data_change'],
  handle({ change, key }, { reporter }) {
    if (!change) return;
    reporter.info(\`\${change.schema} \${change.action} \${key}\`);
    // @ts-expect-error no such table is captured
    if (change.table === 'membres') return;
    if (change.table === 'orders') {
      if (change.action === 'TRUNCATE') {
        const none: null = change.id;
        return none;
      }
      const id: { shop: number; number: number | string } = change.id;
      // @ts-expect-error an INSERT has no old row
      if (change.action === 'INSERT') return change.old;
      if (change.action === 'UPDATE') {
        const sure: number = change.new.shop;
        const maybe: 'new' | 'paid' | undefined = change.new.state;
        // @ts-expect-error a column that has not changed is absent
        const unsure: 'new' | 'paid' = change.new.state;
        return [id, sure, maybe, unsure, change.changed.includes('state')];
      }
      // @ts-expect-error the column is excluded
      if (change.action === 'DELETE') return change.old.note;
      return change.new.state;
    }
    if (change.table !== 'members') return;
    // @ts-expect-error two schemas have a table of that name
    if (change.action === 'INSERT') return greet(change.new);
    if (change.schema === 'app') {
      // @ts-expect-error no such column
      if (change.action === 'UPDATE' && change.changed.includes('vists')) return;
      return change.action === 'DELETE' ? count(change.old) : nameOf(change);
    }
    if (change.action === 'UPDATE') {
      // @ts-expect-error there is no such column
      reporter.info(change.new.emial);
      return greet(change.new);
    }
    return change.id;
  },
});
`;

test('consumers are checked against the tables without type annotations', async () => {
  await database.query(`create type state as enum ('new', 'paid'); create schema app`);
  await capture('members (id int primary key, email text not null)');
  await capture('app.members (id uuid primary key, visits int not null)');
  await capture(
    'orders (shop int, number bigint, state state not null, note text, primary key (shop, number))',
    ...['--exclude', 'note', '--payload', 'changed'],
  );
  // The README's own consumer uses this table.
  await capture('users (id int primary key, email text)');
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, shown = ''] = /```ts\n(\/\/ consumers\/search-index.*?)```/s.exec(readme) ?? [];
  expect(shown).toContain('change.new.email');
  const mistaken = shown.replace('new.email', 'new.emial');
  const { stdout } = await types([]);
  const files = { 'pgwatch-types.ts': stdout, 'consumers/members.ts': CONSUMER };
  expect(await compile({ ...files, 'consumers/search-index.ts': mistaken }, 'built')).toMatch(
    /^\S*search-index\.ts\(\d+,\d+\): error TS\d+: Property 'emial' does not exist.*\n/,
  );
  expect(await compile({ ...files, 'consumers/search-index.ts': shown }, 'built')).toBe('');
});

test('the types match what runs, and the file does not disturb it', async () => {
  await database.query(`create table tags (id bigint primary key, names text[] not null);
    create trigger t after insert on tags for each row execute function notify_data_change('tags');
    insert into tags values (9007199254740993, '{a}')`);
  const cwd = makeProject({
    'consumers/tags.ts': `
      import type { Tags } from '../pgwatch-types.ts';
      const show = ({ id, names }: Tags) => \`\${id} \${names.map((name) => name?.length)}\`;
      export default { channels: ['tags'], handle({ change }, { reporter }) {
        reporter.info(show(change.new));
      } };`,
  });
  await types(['--out', 'pgwatch-types.ts'], cwd);
  const env = { DATABASE_URL: database.url };
  const { stderr, exitCode } = await runCli(['listen', '--once'], { cwd, env });
  expect(stderr).toContain('tags: 9007199254740993 1');
  expect(exitCode).toBe(0);
});
