import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing, type TestDaemon, useDaemons } from '../helpers/daemon.ts';
import { restartServer, useIsolatedServer } from '../helpers/database.ts';
import { startProxy } from '../helpers/proxy.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useIsolatedServer();
const closing: (() => Promise<void>)[] = [];
const { keep } = useDaemons(database, {
  whenStopped: () => Promise.all(closing.splice(0).map((close) => close())),
});

/** Starts a daemon that collects what it receives, using the given connection string. */
async function startCollecting(
  url = database.url,
  overrides: Partial<typeof database.config> = {},
) {
  const seen: Notification[] = [];
  const daemon = keep(
    await startTailing({ ...database.config, url, ...overrides }, [
      { id: 'c', channels: ['c'], handle: (notification) => void seen.push(notification) },
    ]),
  );
  const arrived = (n: number) =>
    until(`${n} arrives`, () => seen.some(({ payload }) => payload === n));
  return { daemon, seen, arrived };
}

test.each(['pgwatch control', 'pgwatch'])(
  'a terminated connection (%s) is replaced, and nothing is lost',
  async (name) => {
    const { seen, arrived } = await startCollecting();
    for (let n = 1; n <= 20; n++) {
      await publish(database, n);
      if (n % 5 === 0) {
        await database.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1',
          [name],
        );
      }
    }
    await arrived(20);
    expect(new Set(seen.map(({ payload }) => payload)).size).toBe(20);
  },
);

/** How long it reported to wait each time, in milliseconds. */
const waits = (daemon: TestDaemon) =>
  [...daemon.reports.join('').matchAll(/Trying again in ([\d.]+) (ms|s)\./g)].map(
    ([, number, unit]) => Number(number) * (unit === 's' ? 1000 : 1),
  );

test('the delay starts over after a session that has worked', async () => {
  const reconnectDelayMs = 20;
  const { daemon } = await startCollecting(database.url, { reconnectDelayMs });
  for (let loss = 1; loss <= 6; loss++) {
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'pgwatch control'`,
    );
    await daemon.transitions.for({ type: 'tail_joined' }, 1 + loss);
  }
  expect(waits(daemon)).toHaveLength(6);
  expect(Math.max(...waits(daemon))).toBeLessThanOrEqual(reconnectDelayMs);
});

test('no delay is longer than two seconds', async () => {
  const { daemon } = await startCollecting(database.url, { reconnectDelayMs: 600_000 });
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'pgwatch control'`,
  );
  await until('it says how long it waits', () => waits(daemon).length === 1);
  expect(waits(daemon)[0]).toBeLessThanOrEqual(2000);
});

test('a lost connection is replaced although a read still waits for a lock', async () => {
  const { daemon, arrived } = await startCollecting();
  const locker = await database.connect();
  await locker.query('begin; lock table pgwatch.notification_log in access exclusive mode');
  await until('a read waits', async () => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity
       where application_name = 'pgwatch' and wait_event_type = 'Lock'`,
    );
    return rowCount !== 0;
  });
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'pgwatch control'`,
  );
  await daemon.transitions.for({ type: 'disconnected' });
  await locker.query('rollback');
  await publish(database, 1);
  await arrived(1);
});

test('a consumer whose position is deleted is registered again', async () => {
  const { daemon, arrived } = await startCollecting();
  await database.query('delete from pgwatch.consumer_progress');
  await publish(database, 1);
  await daemon.transitions.for({ type: 'consumer_registered' }, 2);
  await publish(database, 2);
  await arrived(2);
  expect(daemon.reports.join('')).toContain('The position of c was deleted');
});

test('what was published while the connection was gone is a replay', async () => {
  const { daemon, seen, arrived } = await startCollecting();
  await publish(database, 1);
  await arrived(1);
  await database.query(`
    begin;
    lock table pgwatch.migration in access exclusive mode;
    select pg_terminate_backend(pid, 10000) from pg_stat_activity
      where application_name = 'pgwatch control';
    select smart_notify('c', '2');
    commit`);
  await arrived(2);
  await daemon.transitions.for({ type: 'tail_joined' }, 2);
  await publish(database, 3);
  await arrived(3);
  expect(seen.map(({ payload, isReplay }) => [payload, isReplay])).toEqual([
    [1, false],
    [2, true],
    [3, false],
  ]);
});

test('a half-open connection is detected by its silence and replaced', async () => {
  const proxy = await startProxy(database.url);
  closing.push(proxy.close);
  const { daemon, arrived } = await startCollecting(proxy.url, {
    heartbeatIntervalMs: 100,
    heartbeatDeadlineMs: 200,
  });
  await publish(database, 1);
  await arrived(1);
  proxy.blackhole();
  const startedAt = performance.now();
  await publish(database, 2);
  await arrived(2);
  console.log(`half-open: recovered in ${Math.round(performance.now() - startedAt)} ms`);
  expect(daemon.reports.join('')).toContain('did not answer within 200 ms');
});

test('a read on a half-open connection ends even if the control connection works', async () => {
  const proxy = await startProxy(database.url);
  closing.push(proxy.close);
  const { arrived } = await startCollecting(proxy.url, {
    directUrl: database.url,
    heartbeatDeadlineMs: 100,
  });
  await publish(database, 1);
  await arrived(1);
  proxy.blackhole();
  await publish(database, 2);
  await arrived(2);
});

test('a network that resets again and again costs no notification and no connection', async () => {
  const proxy = await startProxy(database.url);
  closing.push(proxy.close);
  const { seen, arrived } = await startCollecting(proxy.url);
  for (let n = 1; n <= 50; n++) {
    await publish(database, n);
    if (n % 5 === 0) proxy.reset();
  }
  await arrived(50);
  expect(new Set(seen.map(({ payload }) => payload)).size).toBe(50);
  const { rows } = await database.query(
    `select count(*)::int from pg_stat_activity where application_name like 'pgwatch%'`,
  );
  expect(rows[0].count).toBeLessThanOrEqual(1 + database.config.poolSize);
});

test('a daemon waits for a server that restarts', async () => {
  const { daemon, arrived } = await startCollecting();
  const { server } = database;
  await server.stop();
  await daemon.transitions.for({ type: 'disconnected' });
  await restartServer(database);
  await publish(database, 1);
  await arrived(1);
  await publish(database, 2);
  await arrived(2);
});
