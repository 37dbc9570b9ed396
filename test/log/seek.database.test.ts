import type { Client } from 'pg';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { type SeekTarget, seekPosition } from '../../src/log/by-hand/seek.ts';
import { planSeek } from '../../src/log/by-hand/seek-plan.ts';
import type { Lease, NewLease } from '../../src/log/leases/lease.ts';
import { freeLeases, settleLeases } from '../../src/log/leases/settle.ts';
import { insertLeases, takeLeases } from '../../src/log/leases/take.ts';
import { pageReader } from '../../src/log/page.ts';
import {
  POSITION_COLUMNS,
  registerConsumer,
  toPosition,
} from '../../src/log/positions/progress.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { seize } from '../helpers/owner.ts';
import { publish } from '../helpers/publish.ts';

const database = useDatabase();
const consumer = { consumerId: 'c', channels: ['c'] };
let client: Client;
let writer: Client;

beforeAll(async () => {
  client = await database.connect();
  writer = await database.connect();
});
afterEach(() => emptyLog(database));

/** Publishes this many, each in its own transaction. */
const publishMany = async (count: number, channel = 'c') => {
  const ids: number[] = [];
  for (let n = 0; n < count; n++) ids.push(await publish(client, 0, { channel }));
  return ids;
};

const register = (from: 'start' | 'now') =>
  registerConsumer(client, 'pgwatch', { id: 'c', channels: ['c'], from });

const seek = async (to: SeekTarget) => {
  const { epoch } = await planSeek(client, 'pgwatch', { consumerId: 'c', to });
  return seekPosition(client, 'pgwatch', { consumerId: 'c', to, seenEpoch: epoch, mode: 'idle' });
};

/** The ids that would be delivered now, from the position. */
const readIds = async () => {
  const { rows } = await client.query(
    `select ${POSITION_COLUMNS} from pgwatch.consumer_progress where consumer_id = 'c'`,
  );
  const limit = { rows: 1000, bytes: 1e6 };
  const request = { position: toPosition(rows[0]), channels: ['c'], limit, rebasedId: 0 };
  const page = await pageReader('pgwatch')(client, request);
  return { page, ids: page.rows.map((row) => Number(row[0])) };
};

/** Reads all, and saves the position after the last one. */
const readAll = async () => {
  const { page, ids } = await readIds();
  const owned = await seize(client, consumer);
  await savePositions(client, 'pgwatch', [{ ...owned, position: page.after }]);
  await client.query('update pgwatch.consumer_progress set owner = null');
  return ids;
};

const RIGHT = 'as a seek does it';

/**
 * Ways to move the position to a time. `between` runs between their first statement and the next.
 */
const VARIANTS: Record<string, (time: Date, between: () => Promise<unknown>) => Promise<unknown>> =
  {
    [RIGHT]: (time, between) => seek(time).then(between),
    'the id alone': async (time, between) => {
      await client.query(
        `update pgwatch.consumer_progress set done_id = (
           select min(id) - 1 from pgwatch.notification_log where created_at >= $1)`,
        [time],
      );
      await between();
    },
    'the id and the snapshot in two statements': async (time, between) => {
      const { rows } = await client.query(
        'select min(id) - 1 as id from pgwatch.notification_log where created_at >= $1',
        [time],
      );
      await between();
      await client.query(
        `update pgwatch.consumer_progress
         set done_id = $1, done_snapshot = pg_current_snapshot(), done_xid = null`,
        [rows[0].id],
      );
    },
  };

test.each(Object.entries(VARIANTS))(
  'a late commit after a seek to a time is delivered (%s)',
  async (name, move) => {
    await register('start');
    await publishMany(3);
    await readAll();
    const { rows } = await client.query('select clock_timestamp() as now');
    await writer.query('begin');
    const late = await publish(writer, 0);
    const newer = await publish(client, 0);
    await move(rows[0].now, () => writer.query('commit'));
    const { ids } = await readIds();
    // The wrong ways are caught: they lose the lower id, which had not committed.
    expect(ids).toEqual(name === RIGHT ? [late, newer] : [newer]);
  },
);

test('a seek to now skips what is visible, but nothing that commits later', async () => {
  await register('start');
  await writer.query('begin');
  const late = await publish(writer, 0);
  await publishMany(3);
  await seek('now');
  const after = await publish(client, 0);
  await writer.query('commit');
  expect((await readIds()).ids).toEqual([late, after]);
});

test('targets: the start, an id, a time, a number of notifications either way', async () => {
  await register('now');
  const ids = await publishMany(4);
  await publishMany(5, 'other');
  ids.push(...(await publishMany(4)));
  await readAll();
  await publishMany(3, 'other');
  const nextAfter = async (to: SeekTarget) => {
    await seek(to);
    return (await readIds()).ids[0];
  };
  expect(await nextAfter('start')).toBe(ids[0]);
  expect(await nextAfter(ids[5] as number)).toBe(ids[5]);
  expect(await nextAfter({ by: -3 })).toBe(ids[2]);
  expect(await nextAfter({ by: 4 })).toBe(ids[6]);
  expect(await nextAfter({ by: -100 })).toBe(ids[0]);
  expect(await nextAfter(new Date(Date.now() - 3_600_000))).toBe(ids[0]);
  expect(await nextAfter({ by: 100 })).toBeUndefined();
  await seek('start');
  expect(await nextAfter(new Date(Date.now() + 3_600_000))).toBeUndefined();
  // Never above the newest: the next one has a higher id.
  expect(await nextAfter(1_000_000)).toBeUndefined();
  const next = await publish(client, 0);
  expect((await readIds()).ids).toEqual([next]);
});

test('after a seek into an open window, its rest is delivered from the target on', async () => {
  await register('start');
  const ids = await publishMany(6);
  const owned = await seize(client, consumer);
  const limit = { rows: 2, bytes: 1e6 };
  const request = { ...owned, channels: ['c'], limit, rebasedId: 0 };
  const page = await pageReader('pgwatch')(client, request);
  await savePositions(client, 'pgwatch', [{ ...owned, position: page.after }]);
  await client.query('update pgwatch.consumer_progress set owner = null');
  expect(page.after.window?.id).toBe(ids[1]);
  await seek(ids[1] as number);
  expect((await readIds()).ids).toEqual(ids.slice(1));
  await seek({ by: 2 });
  expect((await readIds()).ids).toEqual(ids.slice(3));
});

test('a seek back skips no late commit that has not been delivered yet', async () => {
  await register('start');
  await writer.query('begin');
  const late = await publish(writer, 0);
  const ids = await publishMany(4);
  await readAll();
  await writer.query('commit');
  await seek({ by: -2 });
  expect((await readIds()).ids).toEqual([late, ...ids.slice(2)]);
  // With the current snapshot, the late commit would count as settled.
  await client.query(
    'update pgwatch.consumer_progress set done_snapshot = pg_current_snapshot(), done_xid = null',
  );
  expect((await readIds()).ids).toEqual(ids.slice(2));
});

test('the plan reports what would be repeated or skipped, and its deliveries', async () => {
  await register('start');
  const ids = await publishMany(5);
  await readAll();
  await publishMany(2, 'other');
  const open = await publishMany(3);
  const last = open.at(-1) as number;
  await client.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state)
     values ('c', $1, 'dead'), ('c', $2, 'retry')`,
    [ids[3], ids[4]],
  );
  const plan = (to: SeekTarget) => planSeek(client, 'pgwatch', { consumerId: 'c', to });
  const base = { fromId: ids[4], isLive: false, isExact: true, oldestId: ids[0], newestId: last };
  expect(await plan(ids[2] as number)).toMatchObject({
    ...base,
    ...{ toId: ids[1], again: 3, skipped: 0, dead: 1, waiting: 1 },
  });
  expect(await plan('now')).toMatchObject({
    ...base,
    ...{ toId: last, again: 0, skipped: 3, dead: 0, waiting: 0 },
  });
});

test('retries and dead letters after the position are read from the log again', async () => {
  await register('start');
  const ids = await publishMany(4);
  await readAll();
  await client.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, key)
     select 'c', d.id, d.state, 'k' from unnest($1::bigint[], $2::text[]) as d (id, state)`,
    [
      [...ids, 999_999],
      ['retry', 'dead', 'retry', 'blocked', 'blocked'],
    ],
  );
  expect(await seek(ids[1] as number)).toMatchObject({ reread: 3 });
  const { rows } = await client.query(
    'select notification_id::float8 as id, state from pgwatch.delivery order by 1',
  );
  expect(rows).toEqual([
    { id: ids[0], state: 'retry' },
    // The log has lost it: it keeps its row, after the first of its key.
    { id: 999_999, state: 'blocked' },
  ]);
  expect(await seek('start')).toMatchObject({ reread: 1 });
  const { rows: left } = await client.query('select state from pgwatch.delivery');
  expect(left).toEqual([{ state: 'retry' }]);
});

test('unstarted leases are cut at the position', async () => {
  await register('start');
  const ids = await publishMany(6);
  await readAll();
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = ids;
  await client.query('begin');
  await insertLeases(client, 'pgwatch', 'c', [
    { kind: 'page', slot: 1, notificationIds: [a, d] },
    { kind: 'page', slot: 2, notificationIds: [e] },
    { kind: 'page', slot: 3, notificationIds: [b, f] },
    { kind: 'orphan', slot: 4, notificationIds: [c, f] },
  ]);
  await client.query('commit');
  await client.query(
    `update pgwatch.lease set owner = gen_random_uuid() where slot = 3;
     update pgwatch.consumer_progress set is_shared = true`,
  );
  expect(await seek(c)).toMatchObject({ released: 5 });
  const { rows } = await client.query(
    'select slot, notification_ids::float8[] as ids from pgwatch.lease order by slot',
  );
  // Nothing before the position is forgotten: it was not done yet.
  expect(rows).toEqual([
    { slot: 1, ids: [a] },
    { slot: 3, ids: [b] },
  ]);
});

test('a process loses the leases that are cut while it handles them, and no others', async () => {
  await register('start');
  const [a = 0, b = 0, c = 0, d = 0] = await publishMany(4);
  await readAll();
  const parts: NewLease[] = [
    { kind: 'page', slot: 1, notificationIds: [a] },
    { kind: 'page', slot: 2, notificationIds: [b, c] },
    { kind: 'page', slot: 3, notificationIds: [d] },
    { kind: 'retry', slot: 4, notificationIds: [d] },
  ];
  await insertLeases(client, 'pgwatch', 'c', parts);
  await client.query('update pgwatch.consumer_progress set is_shared = true');
  const daemonId = '00000000-0000-0000-0000-000000000001';
  const take = { consumerId: 'c', daemonId, isStopping: false, count: 9 };
  const taken = await takeLeases(client, 'pgwatch', take);
  // Leases in progress count, too: they are read from the log again. Recorded retries do not.
  expect(await seek(c)).toMatchObject({ released: 2 });
  const isOurs = async (index: number) => {
    const rest = { ...(taken[index] as Lease), notificationIds: [] };
    return settleLeases(client, 'pgwatch', daemonId, [rest]);
  };
  expect([await isOurs(0), await isOurs(1), await isOurs(2), await isOurs(3)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  // Until the process releases them, no other process takes their slots; then only the rest is
  // left.
  const { rows } = await client.query('select slot from pgwatch.lease order by slot');
  expect(rows).toEqual([{ slot: 2 }, { slot: 3 }, { slot: 4 }]);
  expect(await takeLeases(client, 'pgwatch', take)).toEqual([]);
  await freeLeases(client, 'pgwatch', { consumerId: 'c', daemonId, isDead: false });
  const [left, ...none] = await takeLeases(client, 'pgwatch', take);
  expect([left?.notificationIds, none]).toEqual([[b], []]);
});

test('a seek fails if the consumer was taken over after it was planned', async () => {
  await register('start');
  await publishMany(1);
  const { epoch } = await planSeek(client, 'pgwatch', { consumerId: 'c', to: 'now' });
  await seize(client, consumer);
  const late = { consumerId: 'c', to: 'now', seenEpoch: epoch, mode: 'idle' } as const;
  expect(await seekPosition(client, 'pgwatch', late)).toBeNull();
});
