import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type Cli, runCli, startCli } from '../helpers/cli.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { makeProject } from '../helpers/project.ts';
import { publish, publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

afterEach(() => emptyLog(database));

/** Prints each notification as JSON: its payload, and whether it is a replay. */
const consumer = (id: string) => `export default {
  id: '${id}', channels: ['c'],
  handle({ payload, isReplay }) {
    console.log(JSON.stringify({ id: '${id}', payload, isReplay }));
  },
};`;

const PROJECT = {
  'consumers/one.js': consumer('one'),
  'consumers/billing/two.mjs': consumer('two'),
  'consumers/billing/three.ts': `const id: string = 'three';\n${consumer('three')}`,
  'consumers/_shared.js': 'export const shared = 1;',
};

function start(args: string[], cwd: string): Cli {
  return startCli(['listen', '--database-url', database.url, ...args], { cwd });
}

type Printed = { id: string; payload: number; isReplay: boolean };
const printed = (stdout: string): Printed[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const series = (from: number, to: number, isReplay: boolean) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ id: 'one', payload: from + i, isReplay }));

test('after SIGTERM or kill -9 listen replays what was written meanwhile, in order', async () => {
  const cwd = makeProject({ 'consumers/one.js': consumer('one') });
  await publishRange(database, 1, 700);
  const first = start([], cwd);
  await first.waitFor('"payload":700');
  await publishRange(database, 701, 702);
  await first.waitFor('"payload":702');
  first.signal('SIGTERM');
  const stopped = await first.exited;
  expect(stopped.exitCode).toBe(0);
  expect(printed(stopped.stdout)).toEqual([...series(1, 700, true), ...series(701, 702, false)]);
  expect(stopped.stderr).toContain('Stopped.');

  await publishRange(database, 703, 1300);
  const second = start([], cwd);
  await second.waitFor('"payload":1300');
  await second.waitFor('following the tail');
  await publish(database, 1301);
  await second.waitFor('"payload":1301');
  second.signal('SIGKILL');
  const killed = await second.exited;
  expect(printed(killed.stdout)).toEqual([
    ...series(703, 1300, true),
    ...series(1301, 1301, false),
  ]);

  await publishRange(database, 1302, 1400);
  const third = start([], cwd);
  await third.waitFor('"payload":1400');
  await third.waitFor('following the tail');
  await publish(database, 1401);
  await third.waitFor('"payload":1401');
  third.signal('SIGINT');
  const { stdout, exitCode } = await third.exited;
  expect(exitCode).toBe(0);
  // After kill -9 the last notifications may come again, but in order and without gaps.
  const replayed = printed(stdout).filter(({ payload }) => payload > 1301 && payload <= 1400);
  expect(replayed).toEqual(series(1302, 1400, true));
  expect(printed(stdout).at(-1)).toEqual({ id: 'one', payload: 1401, isReplay: false });
});

test('a second signal ends it at once with exit code 1', async () => {
  const cwd = makeProject({
    'consumers/hang.js': `export default { channels: ['c'], handle() {
      console.log('called');
      return new Promise(() => {});
    } };`,
  });
  await publish(database, 1);
  const cli = start([], cwd);
  await cli.waitFor('called');
  cli.signal('SIGTERM');
  await cli.waitFor('Press Ctrl-C again to quit now');
  await new Promise((resolve) => setTimeout(resolve, 250));
  cli.signal('SIGTERM');
  expect((await cli.exited).exitCode).toBe(1);
});

describe('listen', () => {
  test('--once handles what is there and exits with 0', async () => {
    const cwd = makeProject(PROJECT);
    await publishRange(database, 1, 5);
    const result = await runCli(['listen', '--once', '--database-url', database.url], { cwd });
    expect(result.exitCode).toBe(0);
    expect(printed(result.stdout).length).toBe(15);
    const again = await runCli(['listen', '--once', '--database-url', database.url], { cwd });
    expect(printed(again.stdout)).toEqual([]);
  });

  test('--once reports what failed, and leaves it to a later run', async () => {
    const cwd = makeProject({
      'consumers/bad.js': `export default { channels: ['c'], handle() {
        throw new Error('no', { cause: new Error('because') });
      } };`,
    });
    await publish(database, 1);
    const args = ['listen', '--once', '--database-url', database.url];
    const result = await runCli(args, { cwd });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(
      /bad failed on notification \d+, attempt 1 of 20: no \(because\)/,
    );
    expect(result.stderr).toContain('error Notifications failed: 1 of bad.');
    await until('it is due', async () => {
      const due = 'select from pgwatch.delivery where next_attempt_at <= now()';
      return (await database.query(due)).rowCount === 1;
    });
    const good = makeProject({ 'consumers/bad.js': consumer('bad') });
    const again = await runCli(args, { cwd: good });
    expect(printed(again.stdout)).toMatchObject([{ payload: 1 }]);
  });

  test.each([
    [
      ['--consumers', 'one', 'two'],
      ['one', 'two'],
    ],
    [
      ['--consumers', 'one,three'],
      ['one', 'three'],
    ],
    [
      ['--exclude-consumers', 'one'],
      ['three', 'two'],
    ],
    [
      ['--apps', 'billing'],
      ['three', 'two'],
    ],
    [['--apps', 'billing', '--exclude-consumers', 'two'], ['three']],
  ])('%j runs %j', async (flags, expected) => {
    const cwd = makeProject(PROJECT);
    await publish(database, 1);
    const result = await runCli(['listen', '--once', ...flags, '--database-url', database.url], {
      cwd,
    });
    expect(
      printed(result.stdout)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(expected);
  });

  test('--list-consumers prints a table, or an array with --json, without a database', async () => {
    const cwd = makeProject(PROJECT);
    const table = await runCli(['listen', '--list-consumers'], { cwd });
    expect(table.stdout.split('\n').map((line) => line.split(/\s{2,}/))).toEqual([
      ['CONSUMER', 'APP', 'CHANNELS', 'FROM', 'FILE'],
      ['one', '-', 'c', 'start', 'consumers/one.js'],
      ['three', 'billing', 'c', 'start', 'consumers/billing/three.ts'],
      ['two', 'billing', 'c', 'start', 'consumers/billing/two.mjs'],
      [''],
    ]);
    const json = await runCli(['listen', '--list-consumers', '--json'], { cwd });
    expect(JSON.parse(json.stdout)).toContainEqual({
      id: 'two',
      app: 'billing',
      channels: ['c'],
      from: 'start',
      file: 'consumers/billing/two.mjs',
    });
  });

  test('--skip-playback delivers no missed notifications', async () => {
    const cwd = makeProject({ 'consumers/one.js': consumer('one') });
    await publishRange(database, 1, 5);
    const cli = start(['--skip-playback'], cwd);
    await cli.waitFor('following the tail');
    await publish(database, 6);
    await cli.waitFor('"payload":6');
    cli.signal('SIGTERM');
    expect(printed((await cli.exited).stdout)).toEqual(series(6, 6, false));
  });

  test('the config and folder in use are reported, and an unused folder here', async () => {
    const cwd = makeProject({
      'pgwatch.config.js': "export default { consumers: 'handlers' };",
      'handlers/one.js': consumer('one'),
      'here/consumers/other.js': consumer('other'),
    });
    await publish(database, 1);
    const env = { DATABASE_URL: database.url };
    const below = await runCli(['listen', '--once'], { cwd: join(cwd, 'here'), env });
    expect(below.exitCode).toBe(0);
    expect(below.stderr).toContain('Config ../pgwatch.config.js, consumers in ../handlers.');
    expect(below.stderr).toMatch(
      /The folder consumers here is not used: .* PGWATCH_CONSUMERS=consumers\./,
    );
    expect(below.stderr).toContain('one handled 1 missed notification in ');
    const above = await runCli(['listen', '--once'], { cwd, env });
    expect(above.stderr).toContain('Config pgwatch.config.js, consumers in handlers.');
    expect(above.stderr).not.toContain('not used');
  });

  test('--log-format json prints JSON lines on stderr, and nothing else there', async () => {
    const cwd = makeProject({ 'consumers/one.js': consumer('one') });
    const result = await runCli(
      ['listen', '--once', '--log-format', 'json', '--database-url', database.url],
      { cwd },
    );
    const reports = result.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(reports.length).toBeGreaterThan(1);
    for (const report of reports)
      expect(report).toMatchObject({ level: 'info', message: expect.any(String) });
  });

  test('without a terminal a long replay prints its rate and time left now and then', async () => {
    const cwd = makeProject({
      'consumers/slow.js': `export default { channels: ['c'], handle: () =>
        new Promise((resolve) => setTimeout(resolve, 15)) };`,
    });
    await publishRange(database, 1, 1000);
    const cli = start([], cwd);
    await cli.waitFor(/slow is catching up: \d+ %, \d+\/s, .* left\./);
  });

  test.each([
    ['--timeout', 'soon'],
    ['--max-batch-size', '0'],
    ['--reconnect-delay', '-1'],
  ])('%s %s is refused with the expected form', async (flag, value) => {
    const result = await runCli(['listen', flag, value], { cwd: makeProject(PROJECT) });
    expect(result.exitCode).toBeGreaterThan(0);
    expect(result.stderr).toMatch(/number/);
  });

  test('settings can come from the environment', async () => {
    const cwd = makeProject({ 'consumers/one.js': consumer('one') });
    const result = await runCli(['listen', '--once'], {
      cwd,
      env: { DATABASE_URL: database.url, PGWATCH_MAX_BATCH_SIZE: 'many' },
    });
    expect(result.stderr).toContain(
      'PGWATCH_MAX_BATCH_SIZE must be a whole number from 1 to 10000',
    );
  });
});
