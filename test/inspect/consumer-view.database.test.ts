import { describe, expect, test } from 'vitest';
import { type ConsumerView, readConsumerViews, viewOf } from '../../src/inspect/consumer-view.ts';
import { NOTHING_STANDING } from '../../src/inspect/standing.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { pauseConsumer } from '../../src/log/by-hand/pause.ts';
import { readRegistered } from '../../src/log/positions/registered.ts';
import { useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import type { TestDefinition } from '../helpers/doors/doors.ts';
import { publish, publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ heartbeatInterval: '300ms' });
const { start, tail } = useDaemons(database);

async function view(consumerId = 'c'): Promise<ConsumerView> {
  const { consumers } = await readConsumerViews(database.pool, 'pgwatch', [consumerId]);
  return consumers[0] as ConsumerView;
}

async function untilState(state: string): Promise<ConsumerView> {
  let found = await view();
  await until(`it is ${state}`, async () => {
    found = await view();
    return found.state === state || found.state;
  });
  return found;
}

const quiet: TestDefinition = { id: 'c', channels: ['c'], handle: () => {} };

describe('the state of a consumer', () => {
  test('is tail, with its owner, while it follows; not running after a stop', async () => {
    const daemon = await tail(quiet);
    const found = await untilState('tail');
    const { pid } = process;
    expect(found.owner).toMatchObject({ pid, isAlive: true, since: expect.any(Date) });
    expect(found.daemons).toMatchObject([{ pid, activity: { mode: 'doorbell' } }]);
    await daemon.stop();
    await publishRange(database, 1, 3);
    expect(await view()).toMatchObject({
      state: 'not running',
      owner: null,
      unread: 3,
      rate: 0,
      timeLeftMs: null,
    });
  });

  test('is not running if its owner has died, and names it', async () => {
    await addConsumers(database, ['c']);
    const dead = '00000000-0000-0000-0000-00000000dead';
    await database.query(
      `insert into pgwatch.daemon (daemon_id, host, pid, has_lock, consumer_ids, shared_ids,
        alive_until)
       values ($1, 'web-1', 4711, false, '{c}', '{}', now() - interval '1 s')`,
      [dead],
    );
    await database.query('update pgwatch.consumer_progress set owner = $1, owned_since = now()', [
      dead,
    ]);
    const owner = { daemonId: dead, host: 'web-1', pid: 4711, isAlive: false };
    expect(await view()).toMatchObject({ state: 'not running', owner });
    await database.query(
      `insert into pgwatch.daemon (daemon_id, host, pid, has_lock, consumer_ids, shared_ids,
        alive_until)
       values (gen_random_uuid(), 'web-2', 1, false, '{c}', '{}', now() + interval '1 h')`,
    );
    expect((await view()).state).toBe('waiting');
  });

  test('is pausing while a handler runs, then paused; a pause may end by itself', async () => {
    let letGo = () => {};
    let isBegun = false;
    await tail({
      ...quiet,
      handle: () =>
        new Promise<void>((resolve) => {
          letGo = resolve;
          isBegun = true;
        }),
    });
    await publish(database, 1);
    await until('it is handled', () => isBegun);
    await pauseConsumer(database.pool, 'pgwatch', { consumerId: 'c', until: 3_600_000 });
    await untilState('pausing');
    letGo();
    const paused = await untilState('paused');
    expect(paused).toMatchObject({ isPaused: true, owner: null, pausedUntil: expect.any(Date) });
    await database.query(`update pgwatch.consumer_progress set paused_until = now()`);
    await untilState('tail');
    expect(await view()).toMatchObject({ isPaused: false, pausedAt: null, pausedUntil: null });
  });

  test('is pausing while a handler in a process that shares it still runs', async () => {
    let letGo: (() => void) | undefined;
    const handle = () =>
      new Promise<void>((resolve) => {
        letGo = resolve;
      });
    const daemon = await tail({ ...quiet, instances: 'shared', handle });
    await publish(database, 1);
    await untilState('tail');
    await until('it is handled', () => letGo !== undefined);
    await pauseConsumer(database.pool, 'pgwatch', { consumerId: 'c', until: null });
    await daemon.transitions.for({ type: 'consumer_paused' });
    // Several heartbeats have reported its state by then.
    await until('that is reported', async () => {
      const [told] = (await view()).daemons;
      return told?.activity.consumers.c?.state === 'finishing';
    });
    await untilState('pausing');
    letGo?.();
    await untilState('paused');
  });

  test('is stopped at a dead letter: it never gets there, whatever its rate was', async () => {
    await tail({
      ...quiet,
      onDead: 'stop',
      retry: { attempts: 1 },
      handle: ({ payload }) => {
        if (payload === 5) throw new Error('five');
      },
    });
    await publishRange(database, 1, 10);
    const found = await untilState('stopped');
    expect(found).toMatchObject({ unread: 5, dead: 1, timeLeftMs: null });
    expect(found.lastError).toMatchObject({ message: 'five', at: expect.any(Date) });
  });

  test('is catching up while it reads what was missed, with the time left', async () => {
    await publishRange(database, 1, 2000);
    const handle = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
    const daemon = start({ ...quiet, from: 'start', handle });
    await daemon.transitions.for({ type: 'consumer_registered' });
    await untilState('catching up');
    await until('it has a rate', async () => ((await view()).rate ?? 0) > 0);
    const { unread, rate, timeLeftMs } = await view();
    expect(timeLeftMs).toBeCloseTo((unread / (rate ?? 0)) * 1000, 3);
    // The test does not need the rest to be handled.
    await pauseConsumer(database.pool, 'pgwatch', { consumerId: 'c', until: null });
    await untilState('paused');
  });
});

test('a consumer in tail mode but far behind the newest id is shown as catching up', async () => {
  await addConsumers(database, ['c']);
  await publishRange(database, 1, 3);
  const [consumer] = await readRegistered(database.pool, 'pgwatch', ['c']);
  if (!consumer) throw new Error('it is not registered');
  const owner = { daemonId: 'd', host: 'h', pid: 1, since: new Date(), isAlive: true };
  const activity = { state: 'tail', rate: null, handled: 0, lastError: null } as const;
  const daemon = { ...owner, startedAt: new Date(), consumerIds: ['c'], sharedIds: [] };
  const alive = [
    {
      ...daemon,
      activity: { version: '', mode: 'doorbell', pollMs: 0, consumers: { c: activity } },
    } as const,
  ];
  const stateAt = (unread: number) => {
    const lag = { unread, isExact: true, oldestAt: null };
    return viewOf({ ...consumer, owner }, alive, { lag, standing: NOTHING_STANDING });
  };
  expect(stateAt(1000)).toMatchObject({ state: 'tail', rate: null, timeLeftMs: null });
  expect(stateAt(1001).state).toBe('catching up');
});

test('the figures of processes that share a consumer are added up', async () => {
  const shared: TestDefinition = { ...quiet, instances: 'shared', order: 'none' };
  await tail(shared);
  const second = await tail(shared);
  await second.transitions.for({ type: 'consumer_shared', processes: 2 });
  await publishRange(database, 1, 100);
  await until('all is handled', async () => {
    const { daemons: both, unread } = await view();
    const handled = both.map(({ activity }) => activity.consumers.c?.handled ?? 0);
    const sum = handled.reduce((total, count) => total + count, 0);
    return (unread === 0 && sum === 100) || `${handled}`;
  });
  await until('there is a rate', async () => ((await view()).rate ?? 0) > 0);
  const { rate, daemons: both, state } = await view();
  const rates = both.map(({ activity }) => activity.consumers.c?.rate ?? 0);
  expect(state).toBe('tail');
  expect(rate).toBeGreaterThan(Math.max(...rates) * 0.99);
});

test('failures are counted by their state, with the newest error', async () => {
  await addConsumers(database, ['email', 'other']);
  await addDelivery(database, { failedAgoMs: 50_000, error: { name: 'Error', message: 'older' } });
  await addDelivery(database, { key: 'k', state: 'retry', error: { name: 'E', message: 'newer' } });
  await database.query(`update pgwatch.delivery set last_failed_at = now() where key = 'k'`);
  for (const key of ['k', 'k', 'l']) await addDelivery(database, { key, state: 'blocked' });
  expect(await view('email')).toMatchObject({
    retrying: 1,
    nextAttemptAt: expect.any(Date),
    blocked: 3,
    blockedKeys: 2,
    dead: 1,
    lastError: { name: 'E', message: 'newer' },
  });
  expect(await view('other')).toMatchObject({ retrying: 0, dead: 0, lastError: null });
});

test('the status has the size of the log and its newest notification', async () => {
  const empty = await readStatus(database.pool, 'pgwatch', null);
  expect(empty).toMatchObject({
    log: { newestId: null, newestAt: null },
    consumers: [],
    daemons: [],
  });
  await publishRange(database, 1, 2);
  const { log, at } = await readStatus(database.pool, 'pgwatch', null);
  expect(log.bytes).toBeGreaterThan(8192);
  const { rows } = await database.query('select max(id)::int as id from pgwatch.notification_log');
  expect(log.newestId).toBe(rows[0].id);
  expect(at.getTime()).toBeGreaterThanOrEqual(log.newestAt?.getTime() ?? Number.NaN);
});
