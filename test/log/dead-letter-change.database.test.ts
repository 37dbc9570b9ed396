import { beforeEach, expect, test } from 'vitest';
import {
  changeDeadLetters,
  type DeadLetterAction,
  type Picked,
} from '../../src/log/by-hand/dead-letter-change.ts';
import { type DeliveryFilter, NO_FILTER } from '../../src/log/deliveries/filter.ts';
import { changeDead } from '../helpers/change-dead.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery } from '../helpers/deliveries.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

beforeEach(async () => {
  await database.query('truncate pgwatch.delivery');
});

/** Every batch of a change, over its own connection. */
async function batchesOf(
  action: DeadLetterAction,
  filter: Partial<DeliveryFilter> = {},
  isDryRun = false,
): Promise<Picked[][]> {
  const client = await database.pool.connect();
  try {
    return await changeDead(client, action, { ...filter, isDryRun });
  } finally {
    client.release();
  }
}

async function rowsOf(id?: number) {
  const { rows } = await database.query(
    `select * from pgwatch.delivery where $1::bigint is null or notification_id = $1
     order by consumer_id, notification_id`,
    [id ?? null],
  );
  return rows;
}

/** Rows without notifications, since batches look only at the rows. */
async function fill(count: number): Promise<void> {
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, attempts, last_failed_at)
     select case when n % 2 = 0 then 'even' else 'odd' end, n, 'dead', 5, now()
     from generate_series(1, $1) as n`,
    [count],
  );
}

test('a retry starts over, and keeps errors, copy and key; a second changes nothing', async () => {
  const id = await addDelivery(database, { key: 'order:1' });
  const [before] = await rowsOf(id);
  expect(await batchesOf('retry', { consumerIds: ['email'] })).toEqual([
    [{ consumerId: 'email', id, key: 'order:1', state: 'dead', isChanged: true }],
  ]);
  const [after] = await rowsOf(id);
  expect(after).toEqual({
    ...before,
    state: 'retry',
    attempts: 0,
    next_attempt_at: expect.any(Date),
  });
  expect(await batchesOf('retry', { consumerIds: ['email'] })).toEqual([]);
  expect(await rowsOf(id)).toEqual([after]);
});

test('a waiting retry that is named is due at once, and never later than before', async () => {
  const id = await addDelivery(database, { state: 'retry', attempts: 3 });
  await batchesOf('retry');
  const [waiting] = await rowsOf(id);
  expect(waiting.next_attempt_at.getTime()).toBeGreaterThan(Date.now() + 1_000_000);
  await batchesOf('retry', { ids: [id] });
  const [due] = await rowsOf(id);
  expect(due).toEqual({ ...waiting, next_attempt_at: expect.any(Date) });
  expect(due.next_attempt_at.getTime()).toBeLessThan(Date.now() + 60_000);
  await batchesOf('retry', { ids: [id] });
  expect(await rowsOf(id)).toEqual([due]);
});

test('only dead letters are discarded, and blocked deliveries are never changed', async () => {
  const dead = await addDelivery(database);
  const waiting = await addDelivery(database, { state: 'retry' });
  const blocked = await addDelivery(database, { state: 'blocked' });
  const ids = [dead, waiting, blocked];
  const outcomes = async (action: DeadLetterAction) =>
    (await batchesOf(action, { ids }, true))
      .flat()
      .map(({ id, state, isChanged }) => [id, state, isChanged]);
  expect(await outcomes('retry')).toEqual([
    [dead, 'dead', true],
    [waiting, 'retry', true],
    [blocked, 'blocked', false],
  ]);
  expect(await outcomes('discard')).toEqual([
    [dead, 'dead', true],
    [waiting, 'retry', false],
    [blocked, 'blocked', false],
  ]);
  await batchesOf('discard', { ids });
  await batchesOf('discard');
  expect((await rowsOf()).map((row) => row.state)).toEqual(['retry', 'blocked']);
});

test('a dry run picks the same deliveries, and changes nothing', async () => {
  await fill(2500);
  const before = await rowsOf();
  const dry = await batchesOf('retry', {}, true);
  expect(await rowsOf()).toEqual(before);
  expect(dry.map(({ length }) => length)).toEqual([1000, 250, 1000, 250]);
  expect(await batchesOf('retry')).toEqual(dry);
  const states = (await rowsOf()).map((row) => row.state);
  expect(new Set(states)).toEqual(new Set(['retry']));
});

test('daemons are notified of each committed change, and of nothing else', async () => {
  const listener = await database.connect();
  const calls: unknown[] = [];
  listener.on('notification', ({ channel, payload }) => calls.push([channel, payload]));
  await listener.query('listen pgwatch');
  await addDelivery(database);
  await batchesOf('retry', {}, true);
  const client = await database.connect();
  await client.query('begin');
  await changeDead(client, 'retry');
  await client.query('rollback');
  await database.query(`select pg_notify('pgwatch', 'none so far')`);
  await batchesOf('retry');
  await batchesOf('retry');
  await database.query(`select pg_notify('pgwatch', 'one')`);
  await addDelivery(database);
  await batchesOf('discard');
  await until('all are heard', () => calls.length >= 4 || `${calls.length} calls`);
  expect(calls).toEqual(
    ['none so far', 'pgwatch:retry', 'one', 'pgwatch:retry'].map((text) => ['pgwatch', text]),
  );
});

test('a delivery that dies again meanwhile is not retried again, so the run ends', async () => {
  await fill(1500);
  const client = await database.connect();
  const change = { action: 'retry', filter: NO_FILTER, isDryRun: false } as const;
  let count = 0;
  for await (const batch of changeDeadLetters(client, 'pgwatch', change)) {
    count += batch.length;
    await database.query(`update pgwatch.delivery set state = 'dead'`);
  }
  expect(count).toBe(1500);
});

test('in concurrent runs each delivery is changed once, and none is missed', async () => {
  await fill(3000);
  const runs = await Promise.all([1, 2, 3, 4].map(() => batchesOf('retry')));
  const changed = runs.flat(2).filter(({ isChanged }) => isChanged);
  expect(changed).toHaveLength(3000);
  expect(new Set(changed.map(({ id }) => id)).size).toBe(3000);
  const { rows } = await database.query(
    `select count(*)::int from pgwatch.delivery where state = 'retry' and attempts = 0`,
  );
  expect(rows).toEqual([{ count: 3000 }]);
});
