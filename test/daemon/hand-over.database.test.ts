import { expect, test } from 'vitest';
import type { ConsumerContext } from '../../src/consumers/define.ts';
import type { Notification } from '../../src/log/notification.ts';
import { tellDaemons } from '../../src/log/positions/daemons.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';

const engineTest = handlersOnly('each subscription has an engine of its own');

const database = useDatabase({ pollInterval: '10m', heartbeatInterval: '10m' });
const { start, tail, publish } = useDelivering(database);
const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];

/** Waits until the live processes run these numbers of consumers, according to the database. */
async function untilSpread(...expected: number[]): Promise<void> {
  await until(`they are spread ${expected}`, async () => {
    const { rows } = await database.query(
      `select count(*)::int as count from pgwatch.consumer_progress
       where owner in (select daemon_id from pgwatch.live_daemon) group by owner order by 1`,
    );
    const counts = rows.map(({ count }) => count).join();
    return counts === expected.join() || counts;
  });
}

engineTest(
  'six consumers spread evenly over two, three and two processes, exactly once',
  async () => {
    const seen: string[] = [];
    const consumers = IDS.map((id) => ({
      id,
      channels: ['c'],
      async handle({ payload }: Notification) {
        seen.push(`${id}${payload}`);
      },
    }));
    let count = 0;
    let isWriting = true;
    const writing = (async () => {
      while (isWriting) await publish([`k${count % 5}`, ++count]);
    })();
    start(...consumers);
    start(...consumers);
    await untilSpread(3, 3);
    const third = start(...consumers);
    await untilSpread(2, 2, 2);
    await third.stop();
    await untilSpread(3, 3);
    isWriting = false;
    await writing;
    const expected = IDS.flatMap((id) => Array.from({ length: count }, (_, i) => `${id}${i + 1}`));
    await until('all are handled', () => seen.length >= expected.length);
    expect([...seen].sort()).toEqual(expected.sort());
    const { rows } = await database.query(
      'select max(epoch)::int as epoch from pgwatch.consumer_progress',
    );
    // First owner, second process, third, and back: no consumer moves without need.
    expect(rows[0].epoch).toBeLessThanOrEqual(4);
  },
);

engineTest(
  'a consumer that its owner does not run, as after a loss, moves to another',
  async () => {
    const seen: unknown[] = [];
    const definitions = ['a', 'b'].map((id) => ({
      id,
      channels: ['c'],
      handle: ({ payload }: Notification) => void seen.push(`${id}${payload}`),
    }));
    start(...definitions);
    start(...definitions);
    await untilSpread(1, 1);
    // As if its runner of an earlier session had ended without being able to report it.
    await database.query(
      `update pgwatch.consumer_progress set epoch = epoch + 1,
       owner = (select owner from pgwatch.consumer_progress where consumer_id = 'b')
     where consumer_id = 'a'`,
    );
    await tellDaemons(database.pool, 'pgwatch', 'owners');
    await publish([null, 1]);
    // A process that does not know yet that it has lost the consumer may deliver it, too.
    await until('both have it', () => new Set(seen).size === 2 || `${seen}`);
    await untilSpread(1, 1);
  },
);

test('a clean stop waits for concurrent calls, and delivers nothing twice', async () => {
  const gate = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  const isAborted: boolean[] = [];
  const definition = {
    id: 'c',
    channels: ['c'],
    concurrency: 2,
    async handle({ payload }: Notification, { signal }: ConsumerContext) {
      seen.push(payload);
      if (payload !== 'a1') return;
      await gate.promise;
      isAborted.push(signal.aborted);
    },
  };
  const idle = { id: 'idle', channels: ['idle'], handle: () => {} };
  const first = await tail(definition, idle);
  await publish(['a', 'a1'], ['a', 'a2'], ['b', 'b1'], ['a', 'a3'], ['b', 'b2']);
  await until('the others are done', () => seen.includes('b2'));
  const stopped = first.stop();
  await first.transitions.for({ type: 'consumer_released', consumerId: 'idle' });
  gate.resolve();
  await stopped;
  expect(seen).toEqual(['a1', 'b1', 'b2']);
  expect(isAborted).toEqual([false]);
  await tail(definition);
  await until('the rest is handled', () => seen.length >= 5);
  expect(seen).toEqual(['a1', 'b1', 'b2', 'a2', 'a3']);
});
