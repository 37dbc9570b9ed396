import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { lockCleanup } from '../../src/log/retention/steps.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { createPastDay, finishConsumer, forgetPast, publishPast } from '../helpers/past.ts';

const database = useIsolatedServer();
beforeEach(async () => {
  await createPastDay(database, 5);
});
afterEach(() => forgetPast(database));

const cleanup = (...args: string[]) =>
  runMain(['cleanup', '--database-url', database.url, ...args], { env: { TZ: 'UTC' } });

test("the server's clock decides what is old", async () => {
  const dayMs = 86_400_000;
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30 * dayMs });
  try {
    for (const [age, days] of [
      ['--days 7', 7],
      ['--before 12h', 0.5],
    ] as const) {
      const { stdout } = await cleanup(...age.split(' '), '--dry-run', '--json');
      const { rows } = await database.query('select clock_timestamp() as now');
      const ageMs = rows[0].now.getTime() - new Date(JSON.parse(stdout).before).getTime();
      expect(Math.abs(ageMs - days * dayMs)).toBeLessThan(60_000);
    }
    const future = new Date(Date.now() - 10 * dayMs).toISOString();
    const { stderr, exitCode } = await cleanup('--before', future);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('must be in the past')]);
  } finally {
    vi.useRealTimers();
  }
});

/** The size of a busy day: PGWATCH_TEST_CLEANUP_ROWS=10000000. */
const ROWS = Number(process.env.PGWATCH_TEST_CLEANUP_ROWS ?? 1_000_000);

test('a full day is kept while a consumer needs it, and then dropped at once', async () => {
  await database.query(
    `insert into pgwatch.notification_log (xid, created_at, channel, key, payload)
       select pg_current_xact_id(), '2020-01-05'::timestamptz + n * interval '1 ms', 'c', 'key',
         '{"a": 1}'
       from generate_series(1, $1) as n`,
    [ROWS],
  );
  await database.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
       values ('email', array['c', 'consumer:email'], 0, '1:1:')`,
  );
  const refused = await cleanup('--days', '7');
  expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
  expect(refused.stderr).toContain('Kept what email needs of 2020-01-05.');
  expect(refused.stderr).toMatch(/email is at id 0, 100,000 or more behind, and not running/);
  expect(refused.stderr).toContain('pgwatch consumers remove email');
  const { rows } = await database.query('select count(*)::integer from pgwatch.notification');
  expect(rows).toEqual([{ count: ROWS }]);

  await finishConsumer(database);
  const startedAt = performance.now();
  const removed = await cleanup('--days', '7', '--json');
  console.log(
    `removed ${ROWS} rows in ${Math.round(performance.now() - startedAt)} ms, the process included`,
  );
  expect(removed.exitCode).toBe(0);
  expect(JSON.parse(removed.stdout)).toMatchObject({
    dryRun: false,
    partitions: [{ partition: 'notification_log_20200105', outcome: 'dropped', pinnedBy: [] }],
  });
}, 300_000);

test('a dry run shows what would be removed, and which consumers need what', async () => {
  await publishPast(database, 5, ['done', 'done']);
  await publishPast(database, 7, ['done']);
  await finishConsumer(database);
  await createPastDay(database, 9);
  await publishPast(database, 9, ['to do']);
  const plain = await cleanup('--before', '2020-02-01', '--dry-run');
  expect(plain.exitCode).toBe(1);
  expect(plain.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['PARTITION', 'NOTIFICATIONS', 'SIZE', 'OUTCOME'],
    ['2020-01-05', '2', expect.any(String), 'drop'],
    ['2020-01-09', '1', expect.any(String), 'needed by email (position 1)'],
    ['the default partition', '1', '-', 'delete'],
    ['to be removed', '3', expect.any(String)],
    [''],
  ]);
  const json = await cleanup('--before', '2020-02-01', '--dry-run', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    dryRun: true,
    partitions: [
      { from: '2020-01-05T00:00:00.000Z', notifications: 2, isEstimate: false, outcome: 'drop' },
      { outcome: 'pinned', pinnedBy: [{ consumerId: 'email', reason: 'position', count: 1 }] },
      { partition: 'notification_log_default', from: null, notifications: 1, outcome: 'delete' },
    ],
  });
  expect((await database.query('select from pgwatch.notification')).rows).toHaveLength(4);
});

test('a dry run shows what would be removed from a partition that is partly needed', async () => {
  await publishPast(database, 7, ['done', 'done']);
  await finishConsumer(database);
  await publishPast(database, 7, ['to do']);
  const plain = await cleanup('--before', '2020-02-01', '--dry-run');
  expect(plain.stdout).toMatch(
    /default partition {2}3 +- +delete except .* by email \(position 1\)\nto be removed +~2 /,
  );
  const { stderr } = await cleanup('--before', '2020-02-01');
  expect(stderr).toContain('Removed 2 notifications of the default partition');
  expect((await database.query('select from pgwatch.notification')).rows).toHaveLength(1);
});

test('cleanup works with serializable as the default isolation level', async () => {
  await publishPast(database, 7, ['done']);
  await finishConsumer(database);
  const name = new URL(database.url).pathname.slice(1);
  await database.query(`alter database ${name} set default_transaction_isolation = 'serializable'`);
  const { exitCode, stderr } = await cleanup('--before', '2020-02-01');
  await database.query(`alter database ${name} reset default_transaction_isolation`);
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('Removed 1 notification')]);
});

test('--force asks, and reports the outcome of each partition', async () => {
  await finishConsumer(database);
  await publishPast(database, 5, ['to do']);
  const asked = await cleanup('--days', '7', '--force');
  expect(asked.exitCode).toBe(2);
  expect(asked.stderr).toContain(
    'email (1 notification)? This is not a terminal, so it cannot ask: pass --yes',
  );
  const forced = await cleanup('--days', '7', '--force', '--yes');
  expect(forced.exitCode).toBe(0);
  expect(forced.stderr).toMatch(/Removed 2020-01-05: .*\n.*Done in/);
  const { rows } = await database.query('select action from pgwatch.notification_log');
  expect(rows).toEqual([{ action: 'GAP' }]);
});

test('cleanup reports that another session is cleaning up', async () => {
  const other = await database.connect();
  await lockCleanup(other, 'pgwatch');
  const { exitCode, stderr } = await cleanup('--days', '7');
  expect(exitCode).toBe(1);
  expect(stderr).toContain('Another session is cleaning up');
  await other.end();
});

test.each([
  [[], 'Give either --days or --before'],
  [['--days', '7', '--before', '1h'], 'Give either --days or --before'],
  [['--days', '0'], 'Give a whole number from 1 to 36500'],
  [['--before', '2999-01-01'], 'must be in the past'],
])('%j is wrong usage', async (args, expected) => {
  const { exitCode, stderr } = await cleanup(...args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(expected);
});
