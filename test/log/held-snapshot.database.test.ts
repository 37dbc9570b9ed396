import { afterEach, expect, test } from 'vitest';
import { takeShared } from '../../src/daemon/shared/take.ts';
import { TakePlace } from '../../src/daemon/shared/take-place.ts';
import { settingsSql } from '../../src/database/transaction.ts';
import { splitEvenly } from '../../src/log/leases/lease.ts';
import { settleLeases } from '../../src/log/leases/settle.ts';
import { pageReader } from '../../src/log/page.ts';
import { LOG_PLANS } from '../../src/log/plans.ts';
import type { Snapshot } from '../../src/log/positions/position.ts';
import type { Claim } from '../../src/log/positions/progress.ts';
import { type RowPlaces, savePositions } from '../../src/log/positions/save.ts';
import { CLAIMED_ON } from '../../src/log/positions/server-sql.ts';
import { blocksOf, canCountBlocks } from '../helpers/blocks.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers, addShared } from '../helpers/deliveries.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: while a session holds a snapshot, so no dead row can be removed, a take of a shared consumer
touches as many blocks as before, however many leases and positions have died since.
Method: the blocks that a take touches, as counted by the server, before and after thousands of
them.
*/

const database = useDatabase();
afterEach(() => emptyLog(database));

const daemonId = '00000000-0000-0000-0000-000000000001';
const DEAD = 3000;

const TABLES = ['lease', 'consumer_progress'];

test.skipIf(!canCountBlocks).each(['none', 'key'] as const)(
  'under a held snapshot a take touches no more blocks because of dead leases; with order %s',
  async (order) => {
    const consumer = makeConsumer({
      id: order,
      channels: ['c'],
      instances: 'shared',
      order,
      handle: () => {},
    });
    await addShared(database, consumer);
    const client = await database.connect();
    await client.query(settingsSql(LOG_PLANS, 'session'));
    const options = { consumer, schema: 'pgwatch', daemonId, readPage: pageReader('pgwatch') };
    const limit = { rows: 100, bytes: 1e6 };
    const takeWith = async (place: TakePlace) => {
      const take = { count: 10, isDue: true, mayRead: () => true };
      const taken = await takeShared(client, { ...options, rebasedId: 0, limit, place }, take);
      const rests = (taken?.leases ?? []).map((lease) => ({ ...lease, notificationIds: [] }));
      expect(rests.length).toBeGreaterThan(0);
      expect(await settleLeases(client, 'pgwatch', daemonId, rests)).toBe(true);
    };
    const place = new TakePlace();
    await publishRange(database, 1, 5, { keys: 5 });
    await takeWith(place);
    await publishRange(database, 1, 5, { keys: 5 });
    const before = await blocksOf(client, TABLES, () => takeWith(place));

    const holder = await database.connect();
    await holder.query('begin isolation level repeatable read; select 1');
    await database.query(
      `do $$ begin
         for n in 1..${DEAD} loop
           insert into pgwatch.lease (consumer_id, slot, notification_ids, kind)
           values ('${order}', ${order === 'key' ? 'n % 32' : 'null'}, '{1}', 'page');
           delete from pgwatch.lease;
           update pgwatch.consumer_progress set saved_at = clock_timestamp();
         end loop;
       end $$`,
    );
    // It looks for its place only now and then, and continues from there.
    let after = 0;
    await until('its place is found', async () => {
      await publishRange(database, 1, 5, { keys: 5 });
      after = await blocksOf(client, TABLES, () => takeWith(place));
      return after < 2 * before + 50 || `${after} blocks instead of ${before}`;
    });
    await publishRange(database, 1, 5, { keys: 5 });
    const again = await blocksOf(client, TABLES, () => takeWith(place));
    await publishRange(database, 1, 5, { keys: 5 });
    const lost = await blocksOf(client, TABLES, () => takeWith(new TakePlace()));
    await holder.query('rollback');
    expect(again).toBeLessThan(2 * before + 50);
    // The cost without a place shows that the dead rows are there.
    expect(lost).toBeGreaterThan(DEAD / 20);
  },
);

test.skipIf(!canCountBlocks)(
  'under a held snapshot a save of positions touches no more blocks because of dead versions',
  async () => {
    const [a, b] = await owned(['a', 'b']);
    const client = await database.connect();
    await client.query(settingsSql(LOG_PLANS, 'session'));
    if (!a || !b) return;
    const places: RowPlaces = new Map();
    const saveWith = async (to: RowPlaces) => {
      const { savedIds, xid } = await savePositions(client, 'pgwatch', [a, b], { places: to });
      expect(savedIds).toEqual(new Set(['a', 'b']));
      expect(xid).not.toBeNull();
    };
    await saveWith(places);
    const before = await blocksOf(client, TABLES, () => saveWith(places));
    const holder = await database.connect();
    await holder.query('begin isolation level repeatable read; select 1');
    for (let n = 0; n < DEAD / 3; n++) await saveWith(places);
    const after = await blocksOf(client, TABLES, () => saveWith(places));
    // Another session moves the row: it is found by the index, and its place is known again.
    await database.query(`update pgwatch.consumer_progress set channels = '{c}'`);
    await saveWith(places);
    const again = await blocksOf(client, TABLES, () => saveWith(places));
    const lost = await blocksOf(client, TABLES, () => saveWith(new Map()));
    await holder.query('rollback');
    expect(after).toBeLessThan(2 * before + 20);
    expect(again).toBeLessThan(2 * before + 20);
    expect(lost).toBeGreaterThan(2 * before + 20);
  },
);

test('a wrong place does not prevent a save, and a past owner cannot save by place', async () => {
  const [a, b] = await owned(['a', 'b']);
  if (!a || !b) return;
  const client = await database.connect();
  const places: RowPlaces = new Map([
    ['a', '(9999,1)'],
    ['b', '(0,1)'],
  ]);
  const saved = await savePositions(client, 'pgwatch', [a, b], { places });
  expect(saved.savedIds).toEqual(new Set(['a', 'b']));
  await database.query(
    `update pgwatch.consumer_progress set epoch = epoch + 1 where consumer_id = 'a'`,
  );
  const { savedIds } = await savePositions(client, 'pgwatch', [a, b], { places });
  expect(savedIds).toEqual(new Set(['b']));
  expect([...places.keys()]).toEqual(['b']);
});

/** Consumers that this process owns, at the start of the log. */
async function owned(ids: readonly string[]) {
  await addConsumers(database, ids);
  const { rows } = await database.query(
    `select consumer_id as "consumerId", epoch::integer, ${CLAIMED_ON} as server
     from pgwatch.consumer_progress as progress order by consumer_id`,
  );
  const position = { doneId: 0, doneSnapshot: '1:1:' as Snapshot, doneXid: null, window: null };
  return (rows as Claim[]).map((claim) => ({ ...claim, position }));
}

test('unordered pages are split into leases of at least 16 rows, at most one per slot', () => {
  const sizes = (count: number) => {
    const ids = Array.from({ length: count }, (_, index) => index);
    return splitEvenly(ids, 'page').map(({ notificationIds }) => notificationIds.length);
  };
  expect(sizes(0)).toEqual([]);
  expect(sizes(5)).toEqual([5]);
  expect(sizes(40)).toEqual([16, 16, 8]);
  expect(sizes(3200)).toEqual(new Array(32).fill(100));
});
