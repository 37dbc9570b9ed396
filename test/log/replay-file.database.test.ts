import type { Client } from 'pg';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { cancelReplays, fileReplay } from '../../src/log/by-hand/replay-file.ts';
import { readDue } from '../../src/log/deliveries/due.ts';
import { suspectAll } from '../../src/log/deliveries/standing.ts';
import { settleLeases } from '../../src/log/leases/settle.ts';
import { insertLeases } from '../../src/log/leases/take.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';

const database = useDatabase();
let client: Client;

beforeAll(async () => {
  client = await database.connect();
});
afterEach(() => emptyLog(database));

const STRETCH = {
  consumerId: 'c',
  since: null,
  until: null,
  channel: null,
  key: null,
  ids: null,
};

/** Publishes this many, with this many keys (0: without keys), all of which count as done. */
async function publishDone(count: number, keys: number): Promise<void> {
  await client.query(
    `select smart_notify('c', '0', case when $2 > 0 then 'k' || n % $2 end)
     from generate_series(1, $1::int) as n`,
    [count, keys],
  );
  await registerConsumer(client, 'pgwatch', { id: 'c', channels: ['c'], from: 'now' });
}

const suspects = async (): Promise<number[]> => {
  const { rows } = await client.query(
    'select notification_id::float8 as id from pgwatch.delivery where is_suspect',
  );
  return rows.map(({ id }) => id);
};

const due = (workingIds: number[] = []) =>
  readDue(client, 'pgwatch', [{ consumerId: 'c', isOrdered: true, workingIds, isStopping: false }]);

test.each([0, 3, 700])(
  'in a long replay only what a process can have died with is suspect (%d keys)',
  async (keys) => {
    await publishDone(3000, keys);
    await fileReplay(client, 'pgwatch', { stretch: STRETCH, speed: null, max: 10_000 });
    const first = await due();
    const second = await due(first.map(({ notificationId }) => notificationId));
    await suspectAll(client, 'pgwatch', 'c');
    const found = await suspects();
    const inHand = [...first, ...second].map(({ notificationId }) => notificationId);
    expect(inHand.length).toBeGreaterThan(100);
    expect(inHand.filter((id) => !found.includes(id))).toEqual([]);
    expect(found.length).toBeLessThan(2500);
    // Failed deliveries are suspect wherever they are.
    await client.query(`update pgwatch.delivery set last_failed_at = now()`);
    await suspectAll(client, 'pgwatch', 'c');
    expect(await suspects()).toHaveLength(3000);
  },
);

test('the first of each key is due, except after earlier deliveries, up to the limit', async () => {
  await publishDone(10, 2);
  const { rows } = await client.query(
    'select id::float8 from pgwatch.notification_log order by id',
  );
  const ids = rows.map(({ id }) => id);
  await client.query(
    `insert into pgwatch.delivery
       (consumer_id, notification_id, state, key, next_attempt_at, attempts)
     values ('c', $1, 'retry', 'k1', now() + interval '1 hour', 1)`,
    [ids[0]],
  );
  expect(
    await fileReplay(client, 'pgwatch', { stretch: STRETCH, speed: null, max: 5 }),
  ).toMatchObject({
    filed: 5,
  });
  const { rows: filed } = await client.query(
    `select notification_id::float8 as id, state from pgwatch.delivery
     where replayed_at is not null order by 1`,
  );
  expect(filed).toEqual([
    { id: ids[1], state: 'retry' },
    { id: ids[2], state: 'blocked' },
    { id: ids[3], state: 'blocked' },
    { id: ids[4], state: 'blocked' },
    { id: ids[5], state: 'blocked' },
  ]);
});

test('canceling a replay during its call takes the lease from the caller', async () => {
  await publishDone(4, 2);
  await client.query('update pgwatch.consumer_progress set is_shared = true');
  await fileReplay(client, 'pgwatch', { stretch: STRETCH, speed: null, max: 2 });
  const [replayed] = (await due()).map(({ notificationId }) => notificationId) as [number];
  const failed = replayed + 2;
  await client.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, next_attempt_at, attempts)
     values ('c', $1, 'retry', now(), 1)`,
    [failed],
  );
  const daemonId = '00000000-0000-4000-8000-000000000001';
  const parts = [replayed, failed].map((id) => ({
    kind: 'retry' as const,
    slot: null,
    notificationIds: [id],
  }));
  const take = { consumerId: 'c', daemonId, isStopping: false, count: 2 };
  const [ofReplay, other] = await insertLeases(client, 'pgwatch', 'c', parts, take);
  expect(await cancelReplays(client, 'pgwatch', 'c')).toBe(2);
  const settle = (lease = ofReplay) => {
    if (!lease) throw new Error('It was not leased.');
    return settleLeases(client, 'pgwatch', daemonId, [{ ...lease, notificationIds: [] }]);
  };
  expect(await settle()).toBe(false);
  expect(await settle(other)).toBe(true);
});
