import { afterEach, expect, test } from 'vitest';
import type { DaemonActivity } from '../../src/log/positions/activity.ts';
import { readVersion } from '../../src/version.ts';
import { startTailing, type TestDaemon } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ heartbeatInterval: '50ms' });
const daemons: TestDaemon[] = [];

afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await emptyLog(database);
});

async function started(...definitions: Parameters<typeof startTailing>[1]): Promise<void> {
  daemons.push(await startTailing(database.config, definitions));
}

async function activities(): Promise<DaemonActivity[]> {
  const { rows } = await database.query(
    // Not the view of live daemons: with heartbeats this frequent, a busy machine sends them late.
    'select activity from pgwatch.daemon order by started_at',
  );
  return rows.map(({ activity }) => activity);
}

const publish = (channel: string, count: number) =>
  database.query(
    'select smart_notify($1, to_jsonb(n), n::text) from generate_series(1, $2::int) as n',
    [channel, count],
  );

test('a heartbeat says what a daemon runs, how much it has settled and how fast', async () => {
  await started(
    { id: 'a', channels: ['a'], handle: () => {} },
    { id: 'b', channels: ['b'], handleBatch: () => {}, transaction: true },
  );
  await Promise.all([publish('a', 30), publish('b', 40)]);
  await until('both are counted', async () => {
    const [activity] = await activities();
    const counts = ['a', 'b'].map((id) => activity?.consumers[id]?.handled);
    return counts.join() === '30,40' || counts.join();
  });
  await until('there is a rate', async () => {
    const [activity] = await activities();
    return (activity?.consumers.a?.rate ?? 0) > 0;
  });
  const [activity] = await activities();
  expect(activity).toMatchObject({ version: readVersion(), mode: 'doorbell', pollMs: 5000 });
  expect(activity?.consumers.a).toMatchObject({ state: 'tail', handled: 30, lastError: null });
});

test("a consumer's new state is reported soon, not with the next heartbeat", async () => {
  const config = { ...database.config, heartbeatIntervalMs: 3_600_000 };
  daemons.push(await startTailing(config, [{ id: 'c', channels: ['c'], handle: () => {} }]));
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
  await started({ ...shared, handle: () => {} });
  await started({ ...shared, handle: () => {} });
  await publish('c', 200);
  await until('all are counted', async () => {
    const counts = (await activities()).map(({ consumers }) => consumers.c?.handled ?? 0);
    return counts.reduce((sum, count) => sum + count, 0) === 200 || counts.join();
  });
});

test("a daemon reports a consumer's last error, and that it stopped the consumer", async () => {
  await started({
    id: 'c',
    channels: ['c'],
    onDead: 'stop',
    retry: { attempts: 1 },
    handle: () => {
      // A surrogate pair straddles the end of what is kept.
      throw new TypeError(`bad \0 ${'x'.repeat(493)}😀${'x'.repeat(2000)}`);
    },
  });
  await publish('c', 1);
  await until('it is stopped', async () => {
    const [activity] = await activities();
    return activity?.consumers.c?.state === 'stopped' || JSON.stringify(activity);
  });
  const [activity] = await activities();
  const { lastError } = activity?.consumers.c ?? {};
  expect(lastError).toMatchObject({ name: 'TypeError', notificationId: expect.any(Number) });
  expect(lastError?.message).toBe(`bad � ${'x'.repeat(493)}�`);
});
