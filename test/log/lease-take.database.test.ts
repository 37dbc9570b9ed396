import type { Client } from 'pg';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { NewLease } from '../../src/log/leases/lease.ts';
import { insertLeases, insertRetryLeases, takeLeases } from '../../src/log/leases/take.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';

const database = useDatabase();
let client: Client;

beforeAll(async () => {
  client = await database.connect();
});
beforeEach(() => emptyLog(database));

const lease = (kind: NewLease['kind'], slot: number | null, ...ids: number[]): NewLease => ({
  kind,
  slot,
  notificationIds: ids,
});

const add = (...leases: NewLease[]) => insertLeases(client, 'pgwatch', 'c', leases);
const addRetries = (...leases: NewLease[]) => insertRetryLeases(client, 'pgwatch', 'c', leases, 0);

const idsInOrder = async (slot: number | null) => {
  const { rows } = await client.query(
    `select notification_ids::float8[] as ids from pgwatch.lease
     where slot is not distinct from $1 order by lease_id`,
    [slot],
  );
  return rows.map(({ ids }) => ids);
};

test('retries go before the unstarted pages of their slot, except the first one', async () => {
  await add(lease('page', 1, 11), lease('page', 1, 12), lease('page', 2, 21), lease('page', 1, 13));
  await addRetries(lease('retry', 1, 5, 6), lease('retry', 1, 7));
  expect(await idsInOrder(1)).toEqual([[11], [5, 6], [7], [12], [13]]);
  expect(await idsInOrder(2)).toEqual([[21]]);
});

test('a page that a process has started stays the first of its slot', async () => {
  await add(lease('page', 1, 11), lease('page', 1, 12), lease('page', 1, 13));
  const take = { consumerId: 'c', daemonId: NOBODY, isStopping: false, count: 1 };
  expect(await takeLeases(client, 'pgwatch', take)).toMatchObject([{ notificationIds: [11] }]);
  await addRetries(lease('retry', 1, 5));
  expect(await idsInOrder(1)).toEqual([[11], [12], [5], [13]]);
});

test('nothing goes before earlier retries or orphans', async () => {
  await add(
    lease('page', 1, 11),
    lease('retry', 1, 3),
    lease('orphan', 1, 12),
    lease('page', 1, 13),
  );
  await addRetries(lease('retry', 1, 5));
  expect(await idsInOrder(1)).toEqual([[11], [3], [12], [5], [13]]);
});

test('nothing goes before older notifications', async () => {
  await add(lease('page', 1, 11), lease('page', 1, 12, 4), lease('page', 1, 13));
  await addRetries(lease('retry', 1, 5), lease('retry', 1, 3));
  expect(await idsInOrder(1)).toEqual([[11], [12, 4], [5], [3], [13]]);
});

test('without key order, pages keep their place', async () => {
  await add(lease('page', null, 11), lease('page', null, 12));
  await addRetries(lease('retry', null, 5));
  expect(await idsInOrder(null)).toEqual([[11], [12], [5]]);
});

const NOBODY = '00000000-0000-0000-0000-000000000001';
