import { afterEach, expect, vi } from 'vitest';
import { Retention } from '../../src/daemon/retention.ts';
import { Pool } from '../../src/database/pool.ts';
import { readPartitions } from '../../src/log/retention/partitions.ts';
import { lockCleanup } from '../../src/log/retention/steps.ts';
import { collectReports } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { createPastDay, finishConsumer, forgetPast, publishPast } from '../helpers/past.ts';
import { until } from '../helpers/wait.ts';

const test = filesOnly('it tests parts of the daemon');

const database = useDatabase({ retention: '30d' });
afterEach(() => forgetPast(database));
const DAY_MS = 86_400_000;
const NEVER = new AbortController().signal;

/** Runs retention as the daemon does, with its own pool. */
async function withRetention(
  work: (runOnce: () => Promise<void>, reports: string[]) => Promise<void>,
): Promise<void> {
  const { reporter, reports } = collectReports();
  const retention = new Retention(database.config, reporter);
  const pool = new Pool({ url: database.url, size: 2 });
  const runOnce = () => retention.runOnce((step) => pool.withClient(step), NEVER);
  await work(runOnce, reports).finally(() => pool.close());
}

async function pastDays(): Promise<string[]> {
  const partitions = await readPartitions(database.pool, 'pgwatch');
  const isPast = ({ ends }: { ends: Date | null }) => ends !== null && ends < new Date();
  return partitions.filter(isPast).map(({ name }) => name.slice(-8));
}

test('old partitions are removed unless needed, and each is reported once', async () => {
  for (const day of [5, 6]) await createPastDay(database, day);
  await publishPast(database, 5, ['done']);
  await finishConsumer(database);
  await publishPast(database, 6, ['to do']);
  await publishPast(database, 8, ['done, and in the default partition']);
  await withRetention(async (runOnce, reports) => {
    await runOnce();
    expect(await pastDays()).toEqual(['20200106']);
    await runOnce();
    expect(reports).toHaveLength(2);
    expect(reports[0]).toMatch(/Removed .* \(1 partition\)/);
    expect(reports[1]).toMatch(/warning .*because consumers need them: email\. /);
    await finishConsumer(database);
    await runOnce();
    expect(await pastDays()).toEqual([]);
    expect(reports).toHaveLength(3);
  });
  const { rows } = await database.query('select from pgwatch.notification_log_default');
  expect(rows).toHaveLength(1);
});

test('event ids are removed together with their notifications', async () => {
  await createPastDay(database, 5);
  const [gone] = await publishPast(database, 5, ['gone']);
  const [kept] = await publishPast(database, 8, ['in the default partition']);
  await database.query(
    `insert into pgwatch.published (event_id, notification_id, digest, created_at)
     select gen_random_uuid(), id, gen_random_uuid(), '2020-01-05' from unnest($1::bigint[]) as id`,
    [[gone, kept]],
  );
  await finishConsumer(database);
  await withRetention(async (runOnce, reports) => {
    await runOnce();
    expect(reports.join()).toMatch(/Removed all notifications from before \S+ \(1 partition\)/);
  });
  const { rows } = await database.query(
    'select notification_id::float8 as id from pgwatch.published',
  );
  expect(rows).toEqual([{ id: kept }]);
});

test("the age of notifications is measured by the server's clock", async () => {
  await createPastDay(database, 5);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 20 * DAY_MS });
  try {
    await publishPast(database, 5, ['done']);
    await finishConsumer(database);
    await withRetention(async (runOnce, reports) => {
      await runOnce();
      const [, before = ''] = /from before (\S+) /.exec(reports.join()) ?? [];
      const { rows } = await database.query('select clock_timestamp() as now');
      const ageMs = rows[0].now.getTime() - new Date(before).getTime();
      expect(Math.abs(ageMs - 30 * DAY_MS)).toBeLessThan(60_000);
    });
  } finally {
    vi.useRealTimers();
  }
});

test('while another session cleans up, retention does and reports nothing', async () => {
  await createPastDay(database, 5);
  await publishPast(database, 5, ['done']);
  const other = await database.connect();
  expect(await lockCleanup(other, 'pgwatch')).toBe(true);
  await withRetention(async (runOnce, reports) => {
    await runOnce();
    expect(await pastDays()).toEqual(['20200105']);
    expect(reports).toEqual([]);
    await other.end();
    await until('the lock is free', async () => {
      await runOnce();
      return (await pastDays()).length === 0;
    });
  });
});

test('a failed cleanup is reported and stops nothing', async () => {
  await withRetention(async (runOnce, reports) => {
    await database.query('alter function pgwatch.log_partitions() rename to log_partitions_gone');
    try {
      await runOnce();
    } finally {
      await database.query('alter function pgwatch.log_partitions_gone() rename to log_partitions');
    }
    expect(reports.join('')).toContain('Could not remove old notifications: ');
  });
});
