import { expect, test } from 'vitest';
import type { DaemonActivity } from '../../src/log/positions/activity.ts';
import { readVersion } from '../../src/version.ts';
import { startTailing, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { publish, publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ heartbeatInterval: '50ms' });
const { tail, keep } = useDaemons(database);

async function activities(): Promise<DaemonActivity[]> {
  const { rows } = await database.query(
    // Not the view of live daemons: with heartbeats this frequent, a busy machine sends them late.
    'select activity from pgwatch.daemon order by started_at',
  );
  return rows.map(({ activity }) => activity);
}

/** The activity of the daemon that runs the consumer. */
async function activityOf(id: string): Promise<DaemonActivity | undefined> {
  return (await activities()).find((activity) => activity?.consumers[id]);
}

test('a heartbeat says what a daemon runs, how much it has settled and how fast', async () => {
  await tail(
    { id: 'a', channels: ['a'], handle: () => {} },
    { id: 'b', channels: ['b'], handleBatch: () => {}, transaction: true },
  );
  await Promise.all([
    publishRange(database, 1, 30, { channel: 'a', keys: 1000 }),
    publishRange(database, 1, 40, { channel: 'b', keys: 1000 }),
  ]);
  await until('both are counted', async () => {
    const [a, b] = [await activityOf('a'), await activityOf('b')];
    const counts = [a?.consumers.a?.handled, b?.consumers.b?.handled];
    return counts.join() === '30,40' || counts.join();
  });
  await until('there is a rate', async () => {
    return ((await activityOf('a'))?.consumers.a?.rate ?? 0) > 0;
  });
  const activity = await activityOf('a');
  expect(activity).toMatchObject({ version: readVersion(), mode: 'doorbell', pollMs: 5000 });
  expect(activity?.consumers.a).toMatchObject({ state: 'tail', handled: 30, lastError: null });
});

test("a consumer's new state is reported soon, not with the next heartbeat", async () => {
  const config = { ...database.config, heartbeatIntervalMs: 3_600_000 };
  keep(await startTailing(config, [{ id: 'c', channels: ['c'], handle: () => {} }]));
  await until('it is told', async () => {
    const [activity] = await activities();
    return activity?.consumers.c?.state === 'tail' || JSON.stringify(activity);
  });
  const [activity] = await activities();
  // It is too early to know the rate.
  expect(activity?.consumers.c?.rate).toBeNull();
});

test('each process that shares a consumer reports its own part', async () => {
  const shared = { id: 'c', channels: ['c'], instances: 'shared', order: 'none' } as const;
  await tail({ ...shared, handle: () => {} });
  await tail({ ...shared, handle: () => {} });
  await publishRange(database, 1, 200, { keys: 1000 });
  await until('all are counted', async () => {
    const counts = (await activities()).map(({ consumers }) => consumers.c?.handled ?? 0);
    return counts.reduce((sum, count) => sum + count, 0) === 200 || counts.join();
  });
});

test("a daemon reports a consumer's last error, and that it stopped the consumer", async () => {
  await tail({
    id: 'c',
    channels: ['c'],
    onDead: 'stop',
    retry: { attempts: 1 },
    handle: () => {
      // A surrogate pair straddles the end of what is kept.
      throw new TypeError(`bad \0 ${'x'.repeat(493)}😀${'x'.repeat(2000)}`);
    },
  });
  await publish(database, 1, { key: '1' });
  await until('it is stopped', async () => {
    const [activity] = await activities();
    return activity?.consumers.c?.state === 'stopped' || JSON.stringify(activity);
  });
  const [activity] = await activities();
  const { lastError } = activity?.consumers.c ?? {};
  expect(lastError).toMatchObject({ name: 'TypeError', notificationId: expect.any(Number) });
  expect(lastError?.message).toBe(`bad � ${'x'.repeat(493)}�`);
});
