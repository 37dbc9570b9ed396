import type { Client } from 'pg';
import { afterEach, expect, test } from 'vitest';
import { TakePlace, takeShared } from '../../src/daemon/shared-take.ts';
import { splitEvenly } from '../../src/log/lease.ts';
import { settleLeases } from '../../src/log/lease-settle.ts';
import { pageReader } from '../../src/log/page.ts';
import { makeConsumer } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: while somebody holds a snapshot, so that no dead row can be removed, a take of a shared consumer touches as
much as before, however many leases and positions have died since.
Method: the blocks that a take touches, by the server's own count, before and after thousands of them.
*/

const database = useDatabase();
afterEach(() => emptyLog(database));

const daemonId = '00000000-0000-0000-0000-000000000001';
const DEAD = 3000;

const publish = (count: number) =>
  database.query(
    `select count(smart_notify('c', '{}', 'key ' || n)) from generate_series(1, $1::int) as n`,
    [count],
  );

/** How many blocks of the tables and their indexes the work touches. */
async function blocksOf(client: Client, work: () => Promise<void>): Promise<number> {
  const read = async () => {
    await client.query('select pg_stat_force_next_flush()');
    const { rows } = await client.query(
      `select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::int as blocks
       from pg_statio_user_tables where relname in ('lease', 'consumer_progress')`,
    );
    return (rows[0] as { blocks: number }).blocks;
  };
  const before = await read();
  await work();
  return (await read()) - before;
}

test.each(['none', 'key'] as const)(
  'under a held snapshot a take touches no more because of dead leases; with order %s',
  async (order) => {
    await addConsumers(database, [order]);
    await database.query('update pgwatch.consumer_progress set is_shared = true');
    const consumer = makeConsumer({
      id: order,
      channels: ['c'],
      instances: 'shared',
      order,
      handle: () => {},
    });
    const client = await database.connect();
    await client.query(`set plan_cache_mode = force_generic_plan; set enable_seqscan = off`);
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
    await publish(5);
    await takeWith(place);
    await publish(5);
    const before = await blocksOf(client, () => takeWith(place));

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
    // It looks for its place now and then, and goes on from there.
    let after = 0;
    await until('its place is found', async () => {
      await publish(5);
      after = await blocksOf(client, () => takeWith(place));
      return after < 2 * before + 50 || `${after} blocks instead of ${before}`;
    });
    await publish(5);
    const again = await blocksOf(client, () => takeWith(place));
    await publish(5);
    const lost = await blocksOf(client, () => takeWith(new TakePlace()));
    await holder.query('rollback');
    expect(again).toBeLessThan(2 * before + 50);
    // What it would be: the dead are there.
    expect(lost).toBeGreaterThan(DEAD / 20);
  },
);

test('what has no order is split into leases of sixteen rows or more, and as many as there are slots', () => {
  const sizes = (count: number) => {
    const ids = Array.from({ length: count }, (_, index) => index);
    return splitEvenly(ids, 'page').map(({ notificationIds }) => notificationIds.length);
  };
  expect(sizes(0)).toEqual([]);
  expect(sizes(5)).toEqual([5]);
  expect(sizes(40)).toEqual([16, 16, 8]);
  expect(sizes(3200)).toEqual(new Array(32).fill(100));
});
