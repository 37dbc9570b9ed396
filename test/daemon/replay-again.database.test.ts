import type { Client } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { cancelReplays, type FiledReplay, fileReplay } from '../../src/log/by-hand/replay-file.ts';
import { readReplayProgress } from '../../src/log/by-hand/replay-progress.ts';
import type { Stretch } from '../../src/log/by-hand/replay-stretch.ts';
import { slotOf } from '../../src/log/leases/lease.ts';
import { tellDaemons } from '../../src/log/positions/daemons.ts';
import { collecting } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';
import { judge } from '../racing/history.ts';
import { chooseSeed } from '../racing/random.ts';
import { raceWriters } from '../racing/writers.ts';

const database = useDatabase();
const { tail, publish, filed, untilFiled } = useDelivering(database);
let client: Client;

beforeAll(async () => {
  client = await database.connect();
});

const ALL: Stretch = {
  consumerId: 'c',
  since: null,
  until: null,
  channel: null,
  key: null,
  ids: null,
};

const replay = (stretch: Partial<Stretch> = {}, speed: number | null = null) =>
  fileReplay(client, 'pgwatch', { stretch: { ...ALL, ...stretch }, speed, max: 10_000 });

const untilNoneIsPending = () =>
  until('none is pending', async () => {
    const rows = await filed();
    return rows.length === 0 || JSON.stringify(rows.slice(0, 3));
  });

const untilSettled = async (id: number) =>
  until('the position is there', async () => {
    const { rows } = await client.query(
      `select done_id >= $1 and not exists (
         select from pgwatch.lease where consumer_id = 'c') as is_there
       from pgwatch.consumer_progress`,
      [id],
    );
    return rows[0].is_there || 'not yet';
  });

const RIGHT = 'that is recorded as usual';

/** Ways to record a replay; the wrong one does not tell a running daemon. */
const VARIANTS: Record<string, () => Promise<unknown>> = {
  [RIGHT]: () => replay(),
  'that is recorded without telling the daemon (wrong)': () =>
    client.query(
      `insert into pgwatch.delivery (consumer_id, notification_id, state, key, next_attempt_at)
       select 'c', id, case when id = first_value(id) over (partition by key order by id)
         then 'retry' else 'blocked' end, key, clock_timestamp()
       from pgwatch.notification_log`,
    ),
};

const numbers = (count: number) => Array.from({ length: count }, (_, i) => 1 + i);
const KEYS = ['a', 'b', 'c', 'd'];
const values = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => KEYS.map((key): [string, unknown] => [key, from + i]));

describe('a consumer that keeps the newest state of each key ends with the newest', () => {
  test.each(some(Object.keys(VARIANTS)))('owned, after a replay %s', async (name) => {
    const state = new Map<string | null, unknown>();
    const seen: { key: string | null; payload: unknown; isReplay: boolean }[] = [];
    await tail({
      id: 'c',
      channels: ['c'],
      concurrency: 2,
      async handle({ key, payload, isReplay }) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        state.set(key, payload);
        seen.push({ key, payload, isReplay });
      },
    });
    const ids = await publish(...values(1, 40).flat());
    await until('all are handled', () => seen.length === ids.length || `${seen.length}`);
    await untilSettled(ids.at(-1) as number);
    await VARIANTS[name]?.();
    await publish(...values(100, 1).flat());
    const isNew = () => [...state.values()].every((payload) => payload === 100);
    if (name !== RIGHT) {
      await until('the new ones are handled', () => isNew() || 'not yet');
      await tellDaemons(client, 'pgwatch', 'retry');
    }
    await until(
      'all are handled again',
      () => seen.length >= 2 * ids.length + 4 || `${seen.length}`,
    );
    await untilNoneIsPending();
    expect(isNew()).toBe(name === RIGHT);
    if (!isNew()) return;
    // In order for each key, and marked as replays; the owner before the replay may have had the
    // newest in hand.
    for (const key of KEYS) {
      const own = seen.filter((each) => each.key === key).slice(-41);
      expect(own.map(({ payload }) => payload)).toEqual([...numbers(40), 100]);
      expect(own.slice(0, 40).every(({ isReplay }) => isReplay)).toBe(true);
    }
  });

  test('shared by two processes, one of which is handling a replayed key', async () => {
    const state = new Map<string | null, unknown>();
    const calls: unknown[] = [];
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const definition = {
      id: 'c',
      channels: ['c'],
      instances: 'shared' as const,
      async handle({ key, payload }: { key: string | null; payload: unknown }) {
        calls.push(payload);
        if (payload === 50 && calls.filter((call) => call === 50).length === 1) await held;
        state.set(key, payload);
      },
    };
    await tail(definition);
    await tail(definition);
    const ids = await publish(...values(1, 10).flat());
    await until('all are handled', () => calls.length === ids.length || `${calls.length}`);
    await untilSettled(ids.at(-1) as number);
    const [leased = 0] = await publish(['a', 50]);
    await until('it is being handled', () => calls.includes(50) || 'not yet');
    const { filed: count } = await replay();
    expect(count).toBe(ids.length);
    expect(await filed()).toContainEqual(expect.objectContaining({ id: leased, state: 'blocked' }));
    release();
    await publish(['b', 60]);
    await until('the last is handled', () => calls.includes(60) || `${calls.length}`);
    await untilNoneIsPending();
    await until('they have returned', () => state.get('b') === 60 || `${state.get('b')}`);
    expect(Object.fromEntries(state)).toEqual({ a: 50, b: 60, c: 10, d: 10 });
    // It was done before the replay of its key, so it comes again after it.
    expect(calls.filter((payload) => payload === 50)).toHaveLength(2);
  });

  test.each(some(['fails', 'kills its process'] as const))(
    'shared, while the newest, which %s at first, is called again',
    async (way) => {
      const calls: unknown[] = [];
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const definition = {
        id: 'c',
        channels: ['c'],
        instances: 'shared' as const,
        retry: { backoff: '10ms' },
        async handle({ payload, attempt }: { payload: unknown; attempt: number }) {
          calls.push(payload);
          if (payload !== 2) return;
          if (way === 'fails' && attempt === 1) throw new Error('not yet');
          if (calls.filter((call) => call === 2).length === (way === 'fails' ? 2 : 1)) await held;
        },
      };
      const first = await tail(definition);
      const [old = 0] = await publish(['a', 1]);
      await untilSettled(old);
      if (way === 'fails') await publish(['a', 2]);
      else {
        await first.stop();
        const [newest] = await publish(['a', 2]);
        // A lease as left by a process that died in the middle of it.
        await client.query(
          `insert into pgwatch.lease (consumer_id, slot, kind, notification_ids)
           values ('c', $1, 'orphan', array[$2::bigint])`,
          [slotOf('a'), newest],
        );
        await client.query(
          `update pgwatch.consumer_progress
           set done_id = $1, done_snapshot = pg_current_snapshot(), done_xid = null`,
          [newest],
        );
        await tail(definition);
      }
      await until('it is being called again', () => {
        return (
          calls.filter((call) => call === 2).length === (way === 'fails' ? 2 : 1) || `${calls}`
        );
      });
      expect(await replay({ ids: [old] })).toMatchObject({ filed: 1 });
      release();
      await untilNoneIsPending();
      await until('the old one came again', () => calls.filter((call) => call === 1).length === 2);
      expect(calls.slice(-2)).toEqual([1, 2]);
    },
  );
});

test.each(some(['one', 'shared'] as const))(
  'racing writers and repeated replays lose nothing, and each key ends with its newest (%s)',
  async (instances) => {
    const seed = chooseSeed('replay');
    const seen: string[] = [];
    const state = new Map<string | null, string>();
    const handle = ({ key, payload }: { key: string | null; payload: unknown }) => {
      seen.push(payload as string);
      state.set(key, payload as string);
    };
    const definition = { id: 'c', channels: ['c'], instances, concurrency: 4, handle };
    await tail(definition);
    if (instances === 'shared') await tail(definition);
    const stop = new AbortController();
    const options = { url: database.url, channel: 'c', count: 4, seed, stop: stop.signal };
    const writing = raceWriters(options);
    for (let round = 0; round < 3; round++) {
      const count = seen.length;
      await until('some more are handled', () => seen.length > count + 10 || `${seen.length}`);
      if (round === 1) await cancelReplays(client, 'pgwatch', 'c');
      else await replay();
    }
    stop.abort();
    const attempts = await writing;
    await until('all are handled', () => judge(attempts, seen).lost.length === 0 || 'some are not');
    await untilNoneIsPending();
    const committed = attempts.filter(({ outcome }) => outcome === 'committed');
    const newest = new Map(committed.map(({ token }) => [token.split('/')[0] as string, token]));
    await until('the newest have returned', () => {
      const wrong = [...newest].filter(([key, token]) => state.get(key) !== token);
      return wrong.length === 0 || JSON.stringify(wrong);
    });
    expect(judge(attempts, seen).phantom).toEqual([]);
    expect(seen.length).toBeGreaterThan(committed.length);
  },
);

test('only selected, done notifications are replayed, and none that has a delivery', async () => {
  const seen: [payload: unknown, isReplay: boolean, attempt: number][] = [];
  await tail({
    id: 'c',
    channels: ['c', 'x'],
    retry: { attempts: 1 },
    handle({ payload, isReplay, attempt }) {
      if (payload === 2) throw new Error('never');
      seen.push([payload, isReplay, attempt]);
    },
  });
  const ids = await publish(['k', 1], ['k', 2], ['k', 3], ['l', 4]);
  await untilFiled('dead');
  await untilSettled(ids[3] as number);
  expect(await replay({ key: 'k' })).toMatchObject({ filed: 2 });
  await until('they come again', () => seen.length === 5 || `${seen.length}`);
  await untilFiled('dead');
  expect(seen.slice(3)).toEqual([
    [1, true, 1],
    [3, true, 1],
  ]);
  expect(await replay({ ids: [ids[3] as number, 999_999] })).toMatchObject({ filed: 1 });
  expect(await replay({ channel: 'x' })).toMatchObject({ filed: 0 });
  expect(await replay({ since: new Date(Date.now() + 60_000) })).toMatchObject({ filed: 0 });
  await until('it comes again', () => seen.length === 6 || `${seen.length}`);
});

test.each(some(['one', 'shared'] as const))(
  'without key order no notification waits for another, whatever order applied before (%s)',
  async (instances) => {
    const { seen, definition } = collecting({ instances });
    const first = await tail(definition);
    const ids = await publish(['k', 1], ['k', 2], ['k', 3]);
    await until('all are handled', () => seen.length === 3 || `${seen.length}`);
    await untilSettled(ids[2] as number);
    await first.stop();
    // Recorded while keys are ordered, and delivered when they are not.
    expect(await replay()).toMatchObject({ filed: 3 });
    await untilFiled('retry', 'blocked', 'blocked');
    await tail({ ...definition, order: 'none', concurrency: 3 });
    await untilNoneIsPending();
    await replay();
    await until('they come again', () => seen.length === 9 || `${seen.length}`);
    await untilNoneIsPending();
    const { rows } = await client.query('select is_ordered from pgwatch.consumer_progress');
    expect(rows).toEqual([{ is_ordered: false }]);
  },
);

test('a failed replay is retried and becomes a dead letter; the progress shows it', async () => {
  let isBroken = false;
  await tail({
    id: 'c',
    channels: ['c'],
    retry: { attempts: 2, backoff: '10ms' },
    handle({ payload }) {
      if (payload === 2 && isBroken) throw new Error('not now');
    },
  });
  const ids = await publish(['k', 1], ['k', 2], ['l', 3]);
  await untilSettled(ids[2] as number);
  isBroken = true;
  const { replayedAt } = await replay();
  await untilFiled('dead');
  expect((await filed())[0]).toMatchObject({ id: ids[1], attempts: 2 });
  expect(await readReplayProgress(client, 'pgwatch', { consumerId: 'c', replayedAt })).toEqual({
    standing: 0,
    failing: 0,
    dead: 1,
    nextMs: null,
    isLive: true,
    isPaused: false,
  });
});

test('a replay with a speed keeps intervals and order, and can be canceled', async () => {
  const { seen, definition } = collecting();
  await tail(definition);
  const ids = await publish(['k', 1], ['k', 2], ['l', 3]);
  await until('all are handled', () => seen.length === 3 || `${seen.length}`);
  await untilSettled(ids[2] as number);
  await client.query(
    `update pgwatch.notification_log set created_at = created_at - interval '1 minute'
     where id < $1`,
    [ids[1]],
  );
  const at = await replay({}, 2);
  const { rows } = await client.query(
    `select round(extract(epoch from max(next_attempt_at) - min(next_attempt_at)))::int as seconds
     from pgwatch.delivery`,
  );
  expect(rows).toEqual([{ seconds: 30 }]);
  await until('the first comes again', () => seen.length >= 4 || `${seen}`);
  const asked: FiledReplay & { consumerId: string } = { consumerId: 'c', ...at };
  await until('two are pending', async () => {
    const { standing } = await readReplayProgress(client, 'pgwatch', asked);
    return standing === 2 || `${standing}`;
  });
  await publish(['k', 4]);
  await untilFiled('retry', 'retry', 'blocked');
  expect(await cancelReplays(client, 'pgwatch', 'c')).toBe(2);
  await until('the one that waited is handled', () => seen.includes(4) || `${seen}`);
  expect(seen.filter((payload) => payload !== 1)).toEqual([2, 3, 4]);
  await untilNoneIsPending();
});
