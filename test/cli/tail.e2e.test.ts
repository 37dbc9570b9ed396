import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import { captureTable } from '../helpers/captured.ts';
import { type CliOptions, runCli, startCli } from '../helpers/cli.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const BIN = fileURLToPath(new URL('../../bin/pgwatch.js', import.meta.url));
const EVIL = '\u001b]0;title\u0007\u001b[2J\u009b31m\u202e\r\nforged';

beforeEach(() => emptyLog(database));

const env = () => ({ DATABASE_URL: database.url });
const tail = (args: readonly string[], options: CliOptions = {}) =>
  runMain(['tail', ...args], { env: env(), ...options });

const orders = { channel: 'orders' };

test('in a pipe tail prints one object per line and ends; text cannot break lines', async () => {
  await captureTable(database, 'users', 'id int primary key, name text');
  await database.query(`insert into users values (1, 'Ada')`);
  await database.query(`update users set name = 'Ada L.'`);
  const id = await publish(database, { total: 120, text: EVIL }, { ...orders, key: EVIL });
  const json = await tail(['--from', 'start']);
  const lines = json.stdout.trimEnd().split('\n');
  expect([json.exitCode, json.stderr, lines.length]).toEqual([0, '', 3]);
  expect(JSON.parse(lines[2] ?? '')).toEqual({
    id,
    eventId: expect.stringMatching(/^[\da-f-]{36}$/),
    channel: 'orders',
    key: EVIL,
    payload: { total: 120, text: EVIL },
    createdAt: expect.stringMatching(/Z$/),
  });
  const text = await tail(['--from', '-3', '--no-json']);
  expect(text.stdout.split('\n')).toEqual([
    expect.stringMatching(
      new RegExp(
        /^\d\d:\d\d:\d\d\.\d{3} {2}\d+ {2}data_change {2}public.users:1/.source +
          / {2}INSERT {2}\{"id":1,"name":"Ada"\}$/.source,
      ),
    ),
    expect.stringMatching(/ {2}UPDATE {2}name: "Ada" → "Ada L\."$/),
    expect.stringMatching(/orders +\S.* NOTIFY {2}\{"text":".*","total":120\}$/),
    '',
  ]);
  for (const { stdout } of [json, text, await tail(['--from', 'start', '--full'])]) {
    expect(stdout).not.toMatch(/[^\P{Cc}\n]|\u202e|^forged/mu);
  }
});

test('tail follows despite lost connections, without repeats, until Ctrl-C', async () => {
  await publish(database, 'before', orders);
  const following = startCli(['tail', 'orders', '--where', `payload !== 'hidden'`], { env: env() });
  const held = await database.connect();
  await held.query('begin');
  await until('it reads', async () => {
    const { rows } = await database.query(
      `select from pg_stat_activity where datname = current_database()
        and query like '%seen as mat%' and pid <> pg_backend_pid()`,
    );
    return rows.length > 0;
  });
  await held.query(`select smart_notify('orders', '"late"')`);
  await publish(database, 'hidden', orders);
  await publish(database, 'first', orders);
  await following.waitFor('"first"');
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'pgwatch'`,
  );
  await following.waitFor('The connection was lost');
  await following.waitFor('Connected again.');
  await held.query('commit');
  await following.waitFor('"late"');
  await publish(database, 'last', orders);
  await following.waitFor('"last"');
  following.signal('SIGINT');
  const { exitCode, stdout } = await following.exited;
  const seen = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).payload);
  expect([exitCode, seen]).toEqual([0, ['first', 'late', 'last']]);
});

test('tail ends quietly when its output is closed, and at --limit and --until', async () => {
  const first = await publish(database, { n: 1 }, orders);
  await database.query(`select smart_notify('orders', '{"n": 2}') from generate_series(1, 3000)`);
  const command: [string, ...string[]] = [
    'sh',
    '-c',
    `"${process.execPath}" "${BIN}" tail --from start --follow | head -1`,
  ];
  const piped = await runCli([], { command, env: env() });
  expect([piped.exitCode, piped.stderr]).toEqual([0, '']);
  expect(JSON.parse(piped.stdout).id).toBe(first);
  const limited = await tail([
    '--from',
    'start',
    '-n',
    '2',
    '--follow',
    '--where',
    'payload.n > 1',
  ]);
  expect([limited.exitCode, limited.stdout.split('\n').length]).toEqual([0, 3]);
  const nothing = await tail(['oders', '--from', '9999999', '--until', '3']);
  expect([nothing.exitCode, nothing.stdout]).toEqual([0, '']);
  expect(nothing.stderr).toMatch(
    /reads the channel "oders", .* Did you mean "orders"\?\n\S+ No notification matches\./,
  );
  const bounded = await tail(['--from', 'start', '--until', String(first), '--follow']);
  expect([bounded.exitCode, JSON.parse(bounded.stdout).id]).toEqual([0, first]);
});

test('--where reports once that it never works, and refuses invalid expressions', async () => {
  await publish(database, { total: 1 }, orders);
  await publish(database, { total: 2 }, orders);
  const slip = await tail(['--since', '1h', '--where', 'totl > 1']);
  expect([slip.exitCode, slip.stdout]).toEqual([0, '']);
  expect(slip.stderr.split('\n')).toEqual([
    expect.stringMatching(
      /--where .* for each of 2 so far: ReferenceError: totl is not defined\. .* are not shown\.$/,
    ),
    expect.stringContaining('No notification matches.'),
    '',
  ]);
  const broken = await tail(['--where', 'payload.total >']);
  expect([broken.exitCode, broken.stdout]).toEqual([2, '']);
  expect(broken.stderr).toContain('--where is not a valid JavaScript expression: Unexpected token');
});
