import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Pool } from '../../src/database/pool.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { readLeasedDeliveries } from '../../src/log/deliveries/due.ts';
import type { Lease } from '../../src/log/leases/lease.ts';
import { freeLeases, settleLeases } from '../../src/log/leases/settle.ts';
import { insertLeases, takeLeases } from '../../src/log/leases/take.ts';
import { pageReader } from '../../src/log/page.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import type { CleanOptions } from '../../src/log/retention/clean.ts';
import { type Cleaned, cleanLog } from '../../src/log/retention/clean-log.ts';
import { countGaps } from '../../src/log/retention/gaps.ts';
import { emptyPartition } from '../../src/log/retention/steps.ts';
import { streamPages } from '../../src/log/stream.ts';
import { useDatabase } from '../helpers/database.ts';
import { seize } from '../helpers/owner.ts';
import {
  createPastDay,
  finishConsumer,
  forgetPast,
  type PastDay,
  publishPast,
} from '../helpers/past.ts';

/*
Goal: if needed notifications are removed, their consumers are told; and notifications to be called
again are not lost. Day 5 has a partition, day 7 has none: its notifications are in the default one.
*/

const database = useDatabase();
let day: PastDay;
beforeEach(async () => {
  day = await createPastDay(database, 5);
});
afterEach(() => forgetPast(database));

const BEFORE = new Date('2020-02-01');
const SCOPE = { consumerId: 'email', isOrdered: true, isStopping: false };

/**
 * The result for the partition with the notifications: day 5's partition is empty if they are
 * elsewhere.
 */
async function clean(needed: CleanOptions['needed']): Promise<Cleaned | undefined> {
  const client = await database.connect();
  const { signal } = new AbortController();
  const options = { schema: 'pgwatch', before: BEFORE, needed, patienceMs: 5000, signal };
  const results = await Array.fromAsync(cleanLog(client, { ...options, scope: 'all' }));
  await client.end();
  return results.at(-1);
}

async function gaps(): Promise<Record<string, unknown>[]> {
  const { rows } = await database.query(
    `select channel, payload from pgwatch.notification_log where action = 'GAP' order by id`,
  );
  return rows;
}

test.each([5, 7])(
  'of day %i: needed notifications are kept, or removed with a marker',
  async (of) => {
    await finishConsumer(database, 'done');
    const ids = await publishPast(database, of, ['a', 'b', 'c']);
    await finishConsumer(database, 'done');
    await database.query(
      `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
     values ('behind', array['c', 'consumer:behind'], $1, pg_current_snapshot())`,
      [ids[0]],
    );
    const refused = await clean('keep');
    expect(refused?.outcome).toBe('pinned');
    expect(refused?.pins).toEqual([{ consumerId: 'behind', reason: 'position' }]);
    expect(await gaps()).toEqual([]);
    const removed = await clean('remove');
    expect(removed?.outcome).toBe(of === 5 ? 'dropped' : 'deleted');
    const noon = expect.stringMatching(`^2020-01-0${of}T12:00:00`);
    expect(await gaps()).toEqual([
      {
        channel: 'consumer:behind',
        payload: {
          count: 2,
          first_id: ids[1],
          last_id: ids[2],
          from: noon,
          until: noon,
          removed_at: expect.any(String),
        },
      },
    ]);
    const { rows } = await database.query(`select from pgwatch.notification where channel = 'c'`);
    expect(rows).toEqual([]);
  },
);

test.each([5, 7])(
  'of day %i: a process that handles some of it loses it, and keeps its slot until then',
  async (of) => {
    const [leased = 0, next = 0] = await publishPast(database, of, ['leased', 'next']);
    await finishConsumer(database);
    const client = await database.connect();
    const daemonId = '00000000-0000-0000-0000-000000000001';
    const take = { consumerId: 'email', daemonId, isStopping: false, count: 9 };
    const part = { kind: 'page' as const, slot: 7 };
    await insertLeases(client, 'pgwatch', 'email', [{ ...part, notificationIds: [leased, next] }]);
    const [lease] = await takeLeases(client, 'pgwatch', take);
    await clean('remove');
    const rest = { ...(lease as Lease), notificationIds: [next] };
    expect(await settleLeases(client, 'pgwatch', daemonId, [rest])).toBe(false);
    // Its handler may still run: the retry waits, or two processes would handle the key.
    const again = { ...part, kind: 'retry' as const, notificationIds: [leased] };
    await insertLeases(client, 'pgwatch', 'email', [again]);
    expect(await takeLeases(client, 'pgwatch', take)).toEqual([]);
    await freeLeases(client, 'pgwatch', { consumerId: 'email', daemonId, isDead: false });
    expect(await takeLeases(client, 'pgwatch', take)).toMatchObject([
      { notificationIds: [leased] },
    ]);
    const due = await readLeasedDeliveries(client, 'pgwatch', SCOPE, [leased, next]);
    expect(due.map(({ row }) => row?.[5])).toEqual(['"leased"', '"next"']);
    await database.query('truncate pgwatch.lease, pgwatch.delivery');
    await client.end();
  },
);

test.each([5, 7])('of day %i: a retried notification keeps its payload', async (of) => {
  const [retried, leased] = await publishPast(database, of, ['retried', 'leased']);
  await finishConsumer(database);
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, next_attempt_at)
     values ('email', $1, 'retry', now())`,
    [retried],
  );
  await database.query(
    `insert into pgwatch.lease (consumer_id, notification_ids, kind)
     values ('email', array[$1::bigint], 'page')`,
    [leased],
  );
  const refused = await clean('keep');
  expect(refused?.pins.map(({ reason }) => reason).toSorted()).toEqual(['lease', 'retry']);
  await clean('remove');
  const client = await database.connect();
  const due = await readLeasedDeliveries(client, 'pgwatch', SCOPE, [
    retried as number,
    leased as number,
  ]);
  expect(due.map(({ row }) => row?.[5])).toEqual(['"retried"', '"leased"']);
  expect((await database.query('select from pgwatch.lease')).rows).toEqual([]);
  expect(await gaps()).toEqual([]);
  await client.end();
});

test('notifications that arrived after the count are not removed uncounted', async () => {
  const client = await database.connect();
  await finishConsumer(database);
  await publishPast(database, 5, ['counted']);
  const target = { partition: day.name, before: day.ends };
  const counted = await countGaps(client, 'pgwatch', target);
  await publishPast(database, 5, ['later']);
  expect(await emptyPartition(client, 'pgwatch', { ...target, counted })).toBe('changed');
  const recounted = await countGaps(client, 'pgwatch', target);
  expect(recounted.gaps[0]?.count).toBe(2);
  expect(await emptyPartition(client, 'pgwatch', { ...target, counted: recounted })).toBe(
    'emptied',
  );
  await client.end();
});

test('a large payload removed between two reads of a replay is skipped, not null', async () => {
  const client = await database.connect();
  const consumer = { consumerId: 'email', channels: ['c'] };
  await registerConsumer(client, 'pgwatch', { id: 'email', channels: ['c'], from: 'start' });
  // Large and random enough for a replay to fetch it in its own statement.
  const payload = randomBytes(100_000).toString('hex');
  await publishPast(database, 5, Array(12).fill(payload));
  const { position } = await seize(client, consumer);
  const limit = { rows: 3, bytes: 1e7 };
  const request = { channels: ['c'], limit, rebasedId: 0 };
  const first = await pageReader('pgwatch')(client, { ...request, position });
  const pool = new Pool({ url: database.url, size: 2 });
  const lengths: (number | undefined)[] = [];
  for await (const page of streamPages({ ...request, pool, schema: 'pgwatch' }, first.after)) {
    lengths.push(...page.rows.map((row) => row[5]?.length));
    await database.query(`delete from pgwatch.notification_log`);
  }
  expect(lengths).toEqual(Array(3).fill(200_002));
  await Promise.all([client.end(), pool.close()]);
});

test('a consumer that was moved back after the count is counted again, and told', async () => {
  await publishPast(database, 5, ['a', 'b']);
  await finishConsumer(database);
  const client = await database.connect();
  const target = { partition: day.name, before: BEFORE };
  const counted = await countGaps(client, 'pgwatch', target);
  const { rows } = await client.query(
    `select epoch::float8 from pgwatch.consumer_progress where consumer_id = 'email'`,
  );
  const seek = {
    consumerId: 'email',
    to: 'start',
    seenEpoch: rows[0].epoch,
    mode: 'idle',
  } as const;
  expect(await seekPosition(client, 'pgwatch', seek)).not.toBeNull();
  expect(await emptyPartition(client, 'pgwatch', { ...target, counted })).toBe('changed');
  await client.end();
  expect(await clean('remove')).toMatchObject({
    outcome: expect.stringMatching(/dropped|emptied/),
  });
  expect(await gaps()).toMatchObject([{ channel: 'consumer:email', payload: { count: 2 } }]);
});
