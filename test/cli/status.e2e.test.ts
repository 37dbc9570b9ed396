import { afterEach, expect, test } from 'vitest';
import { runCli, startCli } from '../helpers/cli.ts';
import { startTailing } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

afterEach(() => emptyLog(database));

const run = (...args: string[]) =>
  runMain(['status', ...args], { env: { DATABASE_URL: database.url } });

const squeezed = (text: string) => text.replaceAll(/ +/g, ' ').split('\n');

test('without a consumer status says so, and --check passes', async () => {
  const { stdout, exitCode } = await run();
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(
    /^Daemons {2}none are running; .*\nLog {6}\d.*, empty\n\nThere are no consumers yet\./,
  );
  expect(await run('--check')).toEqual({
    exitCode: 0,
    stdout: 'OK: 0 consumers, 0 unread, 0 dead letters.\n',
    stderr: '',
  });
});

test('what needs attention is red, unless NO_COLOR is set', async () => {
  await addConsumers(database, ['email']);
  await addDelivery(database, { state: 'dead' });
  const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
  const env = { DATABASE_URL: database.url, FORCE_COLOR: '1' };
  const { stdout } = await runCli(['status'], { env });
  expect(stdout).toContain(`email     ${red('not running')}  `);
  expect(stdout).toContain(`  ${red('1')}     -\n`);
  expect((await runCli(['status'], { env: { ...env, NO_COLOR: '1' } })).stdout).not.toContain(
    '\u001b',
  );
});

test('status shows a row for each consumer, and details below', async () => {
  await addConsumers(database, ['email', 'webhook']);
  const error = { name: 'TypeError', message: 'no \u001b[2J\nfield' };
  const id = await addDelivery(database, { key: 'k', state: 'retry', error });
  await addDelivery(database, { key: 'k', state: 'blocked' });
  const { stdout, stderr, exitCode } = await run();
  expect([exitCode, stderr]).toEqual([0, '']);
  const [daemons, log, , ...rest] = squeezed(stdout);
  expect(daemons).toBe('Daemons none are running; "pgwatch listen" starts one');
  expect(log).toMatch(/^Log [\d.]+ kB, the newest notification is \d+, [\d.]+ m?s ago$/);
  expect(rest.map((line) => line.replace(/\d+(\.\d+)? m?s /, 'SOON '))).toEqual([
    'CONSUMER STATE LAG OLDEST LEFT RATE RETRY BLOCKED DEAD OWNER',
    'email not running 2 SOON never - 1 1 0 -',
    'webhook not running 2 SOON never - 0 0 0 -',
    '',
    'email: 1 blocked by earlier ones of 1 key, next retry in 59 min',
    `email: last error 1 min ago, notification ${id}: TypeError: no \\u001b[2J field`,
    '',
  ]);
  expect((await run('webhook')).stdout).not.toContain('email');
});

test('--json has everything', async () => {
  await addConsumers(database, ['email']);
  await addDelivery(database);
  const daemon = await startTailing(database.config, [
    { id: 'quick', channels: ['c'], handle: () => {} },
  ]);
  const { stdout } = await run('--json');
  await daemon.stop();
  const { pid } = process;
  expect(JSON.parse(stdout)).toMatchObject({
    at: expect.stringMatching(/Z$/),
    daemons: [{ pid, mode: 'doorbell', consumerIds: ['quick'], sharedIds: [] }],
    log: { bytes: expect.any(Number), newestId: expect.any(Number) },
    consumers: [
      { consumerId: 'email', state: 'not running', unread: 1, dead: 1, timeLeftMs: null },
      { consumerId: 'quick', owner: { pid, isAlive: true }, daemons: [{ pid }], unread: 0 },
    ],
  });
});

test('--check prints a line for each finding and exits with 1, or prints OK', async () => {
  await addConsumers(database, ['email', 'old']);
  await database.query(
    `update pgwatch.consumer_progress set paused_at = now() where consumer_id = 'email'`,
  );
  await addDelivery(database);
  const found = await run('--check', '--max-lag', '0', '--max-dead', '0');
  expect(found.exitCode).toBe(1);
  expect(found.stdout.replaceAll(/since [^)]*/g, 'since T').split('\n')).toEqual([
    'email: 1 unread, more than 0 (paused since T).',
    'email: 1 dead letter, more than 0.',
    'old: no daemon runs it, although it is not paused.',
    'old: 1 unread, more than 0.',
    '',
  ]);
  const json = await run('--check', '--json', 'old');
  expect([json.exitCode, JSON.parse(json.stdout)]).toEqual([
    1,
    {
      ok: false,
      at: expect.any(String),
      findings: [{ consumerId: 'old', kind: 'not_running', message: expect.any(String) }],
    },
  ]);
  expect(await run('email', '--check', '--max-lag', '1', '--max-age', '1h')).toEqual({
    exitCode: 0,
    stdout: 'OK: 1 consumer, 1 unread, 1 dead letter.\n',
    stderr: '',
  });
});

test('limits without --check, and the like, are wrong usage', async () => {
  const refused = await Promise.all([
    run('--max-lag', '5'),
    run('--check', '--watch'),
    run('--check', '--max-lag', '-5'),
    run('--interval', '1s'),
  ]);
  expect(refused.map(({ exitCode }) => exitCode)).toEqual([2, 2, 2, 2]);
});

test('--watch in a pipe prints blocks, even after a lost connection, until Ctrl-C', async () => {
  await addConsumers(database, ['email']);
  const cli = startCli(['status', '--watch', '--interval', '100ms'], {
    env: { DATABASE_URL: database.url },
  });
  const blocks = () => cli.stdout.split('CONSUMER').length - 1;
  await until('two are printed', () => blocks() > 1);
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()
       and query like '%clock_timestamp() as at%'`,
  );
  await cli.waitFor('\nTrying again: ');
  const before = blocks();
  await until('it goes on', () => blocks() > before);
  cli.signal('SIGINT');
  const { exitCode, stdout, stderr } = await cli.exited;
  expect([exitCode, stderr]).toEqual([0, '']);
  // Nothing in it is meant for a terminal.
  expect(stdout).not.toContain('\u001b');
});
