import { afterEach, expect } from 'vitest';
import { takeShared } from '../../src/daemon/shared/take.ts';
import { TakePlace } from '../../src/daemon/shared/take-place.ts';
import { settingsSql } from '../../src/database/transaction.ts';
import { settleLeases } from '../../src/log/leases/settle.ts';
import { pageReader } from '../../src/log/page.ts';
import { LOG_PLANS } from '../../src/log/plans.ts';
import { blocksOf, canCountBlocks } from '../helpers/blocks.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addShared } from '../helpers/deliveries.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { publish } from '../helpers/publish.ts';

const test = filesOnly('it tests parts of the daemon');

/*
Goal: what a process remembers of leases and positions is a hint; if it is wrong, the next take is
still right.
Method: takes with an earlier place, after the tables have changed.
*/

const database = useDatabase();
afterEach(() => emptyLog(database));

const ids = ['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002'];

/** Creates the consumer, and processes that share it, each of which takes with its own place. */
async function sharers(consumerId = 'c') {
  const client = await database.connect();
  const consumer = makeConsumer({
    id: consumerId,
    channels: ['c'],
    instances: 'shared',
    handle: () => {},
  });
  await addShared(database, consumer);
  return ids.map((daemonId) => {
    const place = new TakePlace();
    const limit = { rows: 100, bytes: 1e6 };
    const options = { consumer, schema: 'pgwatch', daemonId, readPage: pageReader('pgwatch') };
    const take = async () => {
      const wanted = { count: 10, isDue: true, mayRead: () => true };
      const taken = await takeShared(client, { ...options, rebasedId: 0, limit, place }, wanted);
      return taken?.leases ?? [];
    };
    const settle = async (leases: Awaited<ReturnType<typeof take>>) => {
      const rests = leases.map((lease) => ({ ...lease, notificationIds: [] }));
      expect(await settleLeases(client, 'pgwatch', daemonId, rests)).toBe(true);
    };
    return { client, place, take, settle };
  });
}

test.each([
  ['the table was rewritten', 'vacuum full pgwatch.consumer_progress'],
  ['the row has moved within it', 'update pgwatch.consumer_progress set channels = channels'],
])('a place is right again at once after %s', async (_, change) => {
  // Its row is far from the beginning.
  await database.query(
    `insert into pgwatch.consumer_progress
       (consumer_id, channels, done_id, done_snapshot, began_id, began_snapshot)
     select 'x' || n, '{}', 0, pg_current_snapshot(), 0, pg_current_snapshot()
     from generate_series(1, 500) as n`,
  );
  const [first] = await sharers();
  if (!first) return;
  await publish(database, {}, { key: 'key' });
  await database.query('update pgwatch.consumer_progress set channels = channels');
  await first.settle(await first.take());
  expect(first.place.ctid).not.toMatch(/^\(0,/);
  await database.query(`delete from pgwatch.consumer_progress where consumer_id <> 'c'`);
  await database.query(change);
  await publish(database, {}, { key: 'key' });
  expect(await first.take()).toHaveLength(1);
});

test('no two processes take the same key after lease ids have gone back', async () => {
  const [first, second] = await sharers();
  if (!first || !second) return;
  await database.query('alter table pgwatch.lease alter lease_id restart with 1000');
  await publish(database, {}, { key: 'key' });
  await first.settle(await first.take());
  await first.take();
  expect(first.place.floor).toBeGreaterThanOrEqual(1000);
  await database.query('alter table pgwatch.lease alter lease_id restart with 1');
  await publish(database, {}, { key: 'key' });
  expect(await second.take()).toHaveLength(1);
  await publish(database, {}, { key: 'key' });
  // The second process is handling the key.
  expect(await first.take()).toEqual([]);
});

test('leases are found at once after their ids have gone back', async () => {
  const [first, second] = await sharers();
  if (!first || !second) return;
  await database.query('alter table pgwatch.lease alter lease_id restart with 1000');
  await publish(database, {}, { key: 'key' });
  await first.settle(await first.take());
  await database.query(
    `insert into pgwatch.lease (lease_id, consumer_id, slot, notification_ids, kind)
     overriding system value values (5, 'c', 1, '{1}', 'page')`,
  );
  await database.query('alter table pgwatch.lease alter lease_id restart with 6');
  expect((await first.take()).map(({ leaseId }) => leaseId)).toEqual([5]);
});

test('a floor belongs to one server: another one assigns ids again', async () => {
  const [first] = await sharers();
  if (!first) return;
  const { client, place } = first;
  const scope = { schema: 'pgwatch', consumerId: 'c' };
  await place.findFloor(client, scope, { server: 'one', lastId: 100 });
  expect(place.floor).toBe(101);
  await database.query(
    `insert into pgwatch.lease (lease_id, consumer_id, slot, notification_ids, kind)
     overriding system value values (50, 'c', 1, '{1}', 'page')`,
  );
  // Meanwhile, as many ids were assigned as were lost.
  await place.findFloor(client, scope, { server: 'two', lastId: 120 });
  expect(place.floor).toBe(50);
});

filesOnly('it tests parts of the daemon', canCountBlocks)(
  "an idle consumer scans none of a busy one's dead leases",
  async () => {
    const [idle] = await sharers('idle');
    if (!idle) return;
    await database.query('set enable_seqscan = off');
    await idle.client.query(settingsSql(LOG_PLANS, 'session'));
    await idle.take();
    const holder = await database.connect();
    await holder.query('begin isolation level repeatable read; select 1');
    const tables = ['lease'];
    const before = await blocksOf(idle.client, tables, () => idle.take());
    const kill = () =>
      database.query(
        `do $$ begin
         for n in 1..2000 loop
           insert into pgwatch.lease (consumer_id, slot, notification_ids, kind)
           values ('busy', n % 32, '{1}', 'page');
           delete from pgwatch.lease;
         end loop;
       end $$`,
      );
    await kill();
    const scope = { schema: 'pgwatch', consumerId: 'idle' };
    const { rows } = await database.query(
      'select last_value::float8 as id from pgwatch.lease_lease_id_seq',
    );
    const given = { server: 'another', lastId: rows[0].id };
    await idle.place.findFloor(idle.client, scope, given);
    expect(idle.place.floor).toBe(given.lastId + 1);
    const after = await blocksOf(idle.client, tables, async () => {
      await idle.place.findFloor(idle.client, scope, given);
      await idle.take();
    });
    await holder.query('rollback');
    expect(after).toBeLessThan(2 * before + 50);
  },
);
