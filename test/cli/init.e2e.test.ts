import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { compile } from '../helpers/compiling.ts';
import { useDatabase } from '../helpers/database.ts';
import { makeProject } from '../helpers/project.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase();
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A project that has pgwatch installed. */
function project(files: Record<string, string>): string {
  const folder = makeProject(files);
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, join(folder, 'node_modules/pgwatch'));
  return folder;
}

/** All files except the installed ones, with their texts. */
function contents(folder: string): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return Object.fromEntries(
    paths.sort().map((path) => [path, readFileSync(join(folder, path), 'utf8')]),
  );
}

const init = (cwd: string, args: readonly string[] = [], env: Record<string, string> = {}) =>
  runCli(['init', ...args], { cwd, env });
const said = (text: string) =>
  text
    .replaceAll(/^\d\d:\d\d:\d\d /gm, '')
    .trim()
    .split('\n');

describe('in a fresh project', () => {
  test.each(
    some([
      [
        'modules in TypeScript',
        '{ "type": "module", "devDependencies": { "typescript": "7" } }',
        'ts',
      ],
      ['CommonJS in TypeScript', '{ "devDependencies": { "typescript": "7" } }', 'mts'],
      ['modules', '{ "type": "module" }', 'js'],
      ['CommonJS', '{}', 'mjs'],
    ]),
  )('the files written for %s run', async (_, packageJson, extension) => {
    const cwd = project({ 'package.json': packageJson });
    const written = await init(cwd);
    expect(written.exitCode).toBe(0);
    expect(said(written.stderr)).toEqual([
      `pgwatch.config.${extension}: wrote the config.`,
      `consumers/hello.${extension}: wrote a first consumer.`,
      'package.json: wrote the script "pgwatch".',
    ]);
    const files = contents(cwd);
    expect(JSON.parse(files['package.json'] ?? '')).toMatchObject({
      scripts: { pgwatch: 'pgwatch listen' },
    });

    const env = { DATABASE_URL: database.url };
    await database.query(`select smart_notify('hello', '{"name": "${extension}"}')`);
    const once = await runCli(['listen', '--once'], { cwd, env });
    expect(once.exitCode).toBe(0);
    expect(once.stderr).toContain(`Hello, ${extension}!`);
    await database.query('truncate pgwatch.notification_log, pgwatch.consumer_progress');
  });

  test('a second run changes nothing', async () => {
    const cwd = makeProject({ 'package.json': '{ "name": "x" }' });
    await init(cwd);
    const files = contents(cwd);
    const again = await init(cwd, ['--json']);
    expect(JSON.parse(again.stdout).parts.map(({ state }: { state: string }) => state)).toEqual([
      'there',
      'there',
      'there',
    ]);
    expect(contents(cwd)).toEqual(files);
  });

  test('the written files compile in strict mode', async () => {
    const cwd = project({ 'package.json': '{ "type": "module" }', 'tsconfig.json': '{}' });
    await init(cwd);
    const { 'package.json': _, 'tsconfig.json': __, ...files } = contents(cwd);
    expect(Object.keys(files)).toEqual(['consumers/hello.ts', 'pgwatch.config.ts']);
    expect(await compile(files, 'built')).toBe('');
  });
});

test('init prints the next steps for the package manager, and writes no secret', async () => {
  const cwd = makeProject({
    'package.json': '{ "name": "shop" }',
    'pnpm-lock.yaml': '',
    '.env': 'OTHER=1\nDATABASE_URL=postgres://me:s3cret@db/shop\n',
    'packages/api/package.json': '{\n\t"name": "api"\n}',
  });
  const { stdout, stderr } = await init(join(cwd, 'packages/api'));
  expect(stdout.replaceAll(/ +/g, ' ').split('\n')).toEqual([
    '',
    'Next:',
    ' $ pnpm add pgwatch # install it',
    ' $ export DATABASE_URL=postgres://… # your database',
    ' $ pnpm exec pgwatch migrate # create its tables',
    ` $ pnpm exec pgwatch notify hello '{"name": "world"}' # publish a notification`,
    ' $ pnpm run pgwatch # run the consumers',
    '',
  ]);
  const inRoot = await init(cwd, ['--json']);
  const { next, packageManager, databaseUrl } = JSON.parse(inRoot.stdout);
  expect([packageManager, databaseUrl, next[1]]).toEqual([
    'pnpm',
    '.env',
    expect.stringContaining('set -a; . ./.env; set +a'),
  ]);
  const { '.env': _, ...files } = contents(cwd);
  expect(JSON.stringify([files, stdout, stderr, inRoot])).not.toContain('s3cret');
});

test('--dry-run writes nothing', async () => {
  const cwd = makeProject({ 'package.json': '{ "name": "x" }\n' });
  const { stderr, exitCode } = await init(cwd, ['--dry-run'], { DATABASE_URL: 'postgres://x' });
  expect(exitCode).toBe(0);
  expect(said(stderr)).toEqual([
    'pgwatch.config.mjs: would write the config.',
    'consumers/hello.mjs: would write a first consumer.',
    'package.json: would write the script "pgwatch".',
  ]);
  expect(contents(cwd)).toEqual({ 'package.json': '{ "name": "x" }\n' });
});

test('existing files stay, and a folder with other consumers is not touched', async () => {
  const cwd = makeProject({
    'package.json': '{ "type": "module", "scripts": { "pgwatch": "mine" } }',
    'consumers/kafka.js': 'export const topics = [];',
  });
  await init(cwd);
  const files = contents(cwd);
  expect(Object.keys(files)).toEqual([
    'consumers/kafka.js',
    'package.json',
    'pgwatch-consumers/hello.js',
    'pgwatch.config.js',
  ]);
  expect(files['package.json']).toContain('"pgwatch": "mine"');
  expect(files['pgwatch.config.js']).toContain("consumers: 'pgwatch-consumers'");
});

test('an existing config decides where the consumer goes', async () => {
  const cwd = makeProject({ 'pgwatch.config.js': `export default { consumers: 'src/handlers' };` });
  await init(cwd);
  expect(Object.keys(contents(cwd))).toEqual([
    'package.json',
    'pgwatch.config.js',
    'src/handlers/hello.js',
  ]);
});

test('outside a project, or in a broken one, init writes nothing', async () => {
  const broken = makeProject({ 'package.json': '{ "name": ' });
  const { stderr, exitCode } = await init(broken);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('package.json cannot be read');
  writeFileSync(join(broken, 'package.json'), '[]');
  expect((await init(broken)).exitCode).toBe(2);
  expect(existsSync(join(broken, 'consumers'))).toBe(false);
  const nowhere = await init('/');
  expect(nowhere.exitCode).toBe(2);
  expect(nowhere.stderr).toContain('There is no package.json in / or above.');
});
