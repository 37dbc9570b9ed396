import type { Client } from 'pg';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { readDue, readLeasedDeliveries } from '../../src/log/deliveries/due.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';

const database = useDatabase();
let client: Client;

beforeAll(async () => {
  client = await database.connect();
});
afterEach(() => emptyLog(database));

type Filed = [id: number, key: string | null, state: 'retry' | 'blocked' | 'dead'];

const file = (deliveries: readonly Filed[]) =>
  client.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, key, state, next_attempt_at)
     select 'c', id, key, state, case when state = 'retry' then now() end
     from unnest($1::bigint[], $2::text[], $3::text[]) as d (id, key, state)`,
    [0, 1, 2].map((column) => deliveries.map((delivery) => delivery[column])),
  );

const SCOPE = { consumerId: 'c', isOrdered: true, isStopping: false };

const inTurn = async (ids: number[], scope: Partial<typeof SCOPE> = {}) =>
  (await readLeasedDeliveries(client, 'pgwatch', { ...SCOPE, ...scope }, ids)).map(
    ({ notificationId }) => notificationId,
  );

test('a due retry is not in turn any more once an earlier one of its key waits', async () => {
  await file([
    [2, 'k', 'retry'],
    [4, 'k', 'blocked'],
    [5, 'other', 'retry'],
    [6, null, 'retry'],
  ]);
  const scope = { ...SCOPE, workingIds: [] };
  const due = await readDue(client, 'pgwatch', [scope]);
  const ids = due.map(({ notificationId }) => notificationId);
  expect(ids).toEqual([2, 4, 5, 6]);
  expect(await inTurn(ids)).toEqual(ids);
  await file([[3, 'k', 'blocked']]);
  expect(await inTurn(ids)).toEqual([2, 5, 6]);
  await file([[1, 'k', 'retry']]);
  expect(await inTurn(ids)).toEqual([5, 6]);
  expect(await inTurn([1, 2, 3, ...ids])).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await inTurn(ids, { isOrdered: false })).toEqual(ids);
});

test('a dead letter blocks its key only if its consumer stops at dead letters', async () => {
  await file([
    [1, 'k', 'dead'],
    [2, 'k', 'retry'],
  ]);
  expect(await inTurn([2])).toEqual([2]);
  expect(await inTurn([2], { isStopping: true })).toEqual([]);
});
