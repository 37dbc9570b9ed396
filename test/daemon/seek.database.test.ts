import type { Client } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { DeadLetter } from '../../src/consumers/outcome.ts';
import { type SeekTarget, seekPosition } from '../../src/log/by-hand/seek.ts';
import { planSeek } from '../../src/log/by-hand/seek-plan.ts';
import { slotOf } from '../../src/log/leases/lease.ts';
import type { Notification } from '../../src/log/notification.ts';
import { changeDead } from '../helpers/change-dead.ts';
import { collecting } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';
import { judge } from '../racing/history.ts';
import { chooseSeed } from '../racing/random.ts';
import { raceWriters } from '../racing/writers.ts';

const database = useDatabase({ maxBatchSize: 5 });
const { tail, publish, filed, untilFiled } = useDelivering(database);
let client: Client;

beforeAll(async () => {
  client = await database.connect();
});

/** Like the command: looks again if the owner takes it over between the look and the move. */
const seekLive = async (to: SeekTarget) => {
  for (let attempt = 1; ; attempt++) {
    const { epoch: seenEpoch } = await planSeek(client, 'pgwatch', { consumerId: 'c', to });
    const seek = { consumerId: 'c', to, seenEpoch, mode: 'live' } as const;
    const sought = await seekPosition(client, 'pgwatch', seek);
    if (sought || attempt === 5) return sought;
  }
};

const position = async (): Promise<number> => {
  const { rows } = await client.query(
    'select done_id::float8 as id from pgwatch.consumer_progress',
  );
  return (rows[0] as { id: number }).id;
};

/** Does not raise the epoch, so the owner never learns of it. */
const seekUnfenced = () =>
  client.query(
    `update pgwatch.consumer_progress set done_id = 0, done_snapshot = '1:1:', done_xid = null`,
  );

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i);
const about = (payloads: number[], key: string | null = null) =>
  payloads.map((payload): [string | null, unknown] => [key, payload]);

test.each(
  some([
    {},
    { transaction: true },
    { onDead: 'stop' as const },
    { instances: 'shared' as const },
    { instances: 'shared' as const, transaction: true, onDead: 'stop' as const },
  ]),
)('a dead letter after the new position comes again once, in its place: %o', async (how) => {
  const seen: unknown[] = [];
  let isMended = false;
  const consumer = {
    id: 'c',
    channels: ['c'],
    ...how,
    handle({ payload }: Notification) {
      seen.push(payload);
      if (payload === 3 && !isMended) throw new DeadLetter('not yet');
    },
  };
  const daemon = await tail(consumer);
  const ids = await publish(...about(numbers(12), 'k'));
  await untilFiled('dead');
  await until('it was called', () => seen.includes('onDead' in how ? 3 : 12));
  await daemon.stop();
  const { epoch } = await planSeek(client, 'pgwatch', { consumerId: 'c', to: 0 });
  const seek = { consumerId: 'c', to: ids[0] as number, seenEpoch: epoch, mode: 'idle' } as const;
  await seekPosition(client, 'pgwatch', seek);
  isMended = true;
  seen.length = 0;
  // There is no dead letter any more.
  await changeDead(client, 'retry');
  await tail(consumer);
  await until('all are handled', () => seen.includes(12) || `${seen}`);
  expect(seen).toEqual(numbers(12));
  await untilFiled();
});

describe.each([
  ['owned', 'one'],
  ['shared', 'shared'],
] as const)('a running consumer that is %s', (_, instances) => {
  test('is moved back: everything after that comes again, with new notifications', async () => {
    const seen: { payload: unknown; isReplay: boolean }[] = [];
    await tail({
      id: 'c',
      channels: ['c'],
      instances,
      handle: ({ payload, isReplay }) => void seen.push({ payload, isReplay }),
    });
    const ids = await publish(...about(numbers(20)));
    await until('all are handled', () => seen.length === 20 || `${seen.length}`);
    await until('the position is saved', async () => (await position()) === ids[19] || 'not yet');
    await seekLive(ids[5] as number);
    await publish(...about([21]));
    // The previous owner may have 21 in hand; then 21 comes again.
    const again = () => {
      const payloads = seen.slice(20).map(({ payload }) => payload);
      return payloads.slice(payloads.indexOf(6));
    };
    await until('they come again', () => again().length === 16 || `${again()}`);
    expect(again()).toEqual(numbers(16, 6));
    await until('it has reached the end again', async () => {
      return (await position()) > (ids[19] as number) || 'not yet';
    });
    await publish(...about([22]));
    await until('it goes on', () => seen.some(({ payload }) => payload === 22) || 'not yet');
  });

  test('is moved forward: it skips what it had not begun, and nothing new', async () => {
    const seen: unknown[] = [];
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await tail({
      id: 'c',
      channels: ['c'],
      instances,
      async handle({ payload }) {
        seen.push(payload);
        if (payload === 1) await held;
      },
    });
    await publish(...about([1], 'k'));
    await until('the first is being handled', () => seen.length === 1 || 'not yet');
    await publish(...about([2], 'k'));
    const before = await position();
    expect(await seekLive('now')).not.toBeNull();
    expect(await position()).toBeGreaterThanOrEqual(before);
    await publish(...about([3], 'k'));
    release();
    await until('the newest is handled', () => seen.includes(3) || `${seen}`);
    // The previous owner may have had 2 in hand, and even 3; then they come again.
    expect([...new Set(seen)].filter((payload) => payload !== 2)).toEqual([1, 3]);
  });
});

test.each(['one', 'shared'] as const)(
  'racing writers lose nothing to a position that is repeatedly moved back (%s)',
  async (instances) => {
    const seed = chooseSeed('seek');
    const seen: string[] = [];
    const handle = ({ payload }: { payload: unknown }) => void seen.push(payload as string);
    await tail({ id: 'c', channels: ['c'], instances, concurrency: 4, handle });
    const stop = new AbortController();
    const writing = raceWriters({
      url: database.url,
      channel: 'c',
      count: 8,
      seed,
      stop: stop.signal,
    });
    try {
      for (let round = 0; round < 12; round++) {
        const count = seen.length;
        await until('some more are handled', () => seen.length > count + 10 || `${seen.length}`);
        expect(await seekLive({ by: -20 })).not.toBeNull();
      }
    } finally {
      stop.abort();
      await writing;
    }
    const attempts = await writing;
    const committed = attempts.filter(({ outcome }) => outcome === 'committed');
    await until('all are handled', () => {
      const { lost } = judge(attempts, seen);
      return lost.length === 0 || `of ${committed.length} lost ${lost}`;
    });
    expect(judge(attempts, seen)).toMatchObject({ phantom: [], inversions: [] });
    // A shared position may be this far ahead of what is handled.
    if (instances === 'one') expect(seen.length).toBeGreaterThan(committed.length);
  },
);

test('a seek waits for a running call: no key is handled concurrently', async () => {
  let running = 0;
  let most = 0;
  const seen: unknown[] = [];
  await tail({
    id: 'c',
    channels: ['c'],
    async handle({ payload }) {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 30));
      running -= 1;
      seen.push(payload);
    },
  });
  await publish(...about(numbers(8), 'k'));
  await until('a call is running', () => seen.length === 3 || `${seen.length}`);
  await seekLive('start');
  await until('the last is handled', () => seen.includes(8) || `${seen}`);
  expect(most).toBe(1);
  const again = seen.slice(seen.lastIndexOf(1));
  expect(again).toEqual(numbers(8));
});

test('without a new epoch the owner would never read the new position', async () => {
  const { seen, definition } = collecting();
  await tail(definition);
  await publish(...about(numbers(3)));
  await until('all are handled', () => seen.length === 3 || `${seen.length}`);
  await seekUnfenced();
  const [last] = await publish(...about([4]));
  await until('the next is saved', async () => (await position()) === last || 'not yet');
  expect(seen).toEqual([1, 2, 3, 4]);
});

test('a failing key keeps its order when the position is moved back', async () => {
  const seen: unknown[] = [];
  let isBroken = true;
  await tail({
    id: 'c',
    channels: ['c'],
    retry: { attempts: 50, backoff: '100ms' },
    handle({ payload }) {
      if (payload === 5 && isBroken) throw new Error('not yet');
      seen.push(payload);
    },
  });
  await publish(...about(numbers(6), 'k'));
  await until('the fifth fails', async () => (await filed()).length === 2 || 'not yet');
  await seekLive('start');
  await until('the ones before it come again', () => seen.length === 8 || `${seen}`);
  isBroken = false;
  await until('the last is handled', () => seen.includes(6) || `${seen}`);
  expect(seen).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 5, 6]);
  await until('nothing waits', async () => (await filed()).length === 0 || 'it does');
});

test('after a seek, a leased notification still follows a failed one of its key', async () => {
  const calls: unknown[] = [];
  let isBroken = true;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await tail({
    id: 'c',
    channels: ['c'],
    instances: 'shared',
    retry: { backoff: '1m' },
    async handle({ payload }) {
      calls.push(payload);
      if (payload === 'gate') await held;
      if (payload === 1 && isBroken) throw new Error('not yet');
    },
  });
  await publish(['k', 1]);
  await until('it has failed', async () => (await filed()).length === 1 || 'not yet');
  isBroken = false;
  // Another key in the same lease, so those after it are recorded only after the seek.
  const gate = numbers(1000).find((n) => slotOf(`${n}`) === slotOf('k'));
  await publish([`${gate}`, 'gate'], ['k', 2], ['k', 3]);
  await until('the gate is being handled', () => calls.includes('gate') || 'not yet');
  expect(await seekLive('start')).not.toBeNull();
  release();
  await until('the last is handled', () => calls.includes(3) || `${calls}`);
  expect(calls.filter((payload) => payload !== 'gate')).toEqual([1, 1, 2, 3]);
});
