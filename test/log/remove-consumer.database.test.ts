import { beforeEach, expect, test } from 'vitest';
import { type Removed, removeConsumer } from '../../src/log/by-hand/remove-consumer.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { startTailing } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { seize } from '../helpers/owner.ts';
import { publishRange } from '../helpers/publish.ts';

const database = useDatabase();

beforeEach(() => emptyLog(database));

async function remove(consumerId: string, isDryRun = false) {
  return removeConsumer(await database.connect(), 'pgwatch', { consumerId, isDryRun });
}

/** The number of rows about the consumer in each table. */
async function rowsOf(consumerId: string): Promise<number[]> {
  const tables = ['consumer_progress', 'delivery', 'discarded', 'lease', 'snapshot'];
  const counts = tables.map(async (table) => {
    const text = `select from pgwatch.${table} where consumer_id = $1`;
    return (await database.query(text, [consumerId])).rowCount ?? 0;
  });
  return Promise.all(counts);
}

async function fill(consumerId: string): Promise<void> {
  await addConsumers(database, [consumerId]);
  await addDelivery(database, { consumerId });
  await addDelivery(database, { consumerId, key: 'k', state: 'retry' });
  await addDelivery(database, { consumerId, key: 'k', state: 'blocked' });
  await database.query(
    `insert into pgwatch.lease (consumer_id, notification_ids, kind) values ($1, '{1}', 'page')`,
    [consumerId],
  );
  await database.query('insert into pgwatch.discarded values ($1, 1)', [consumerId]);
  await database.query(
    `insert into pgwatch.snapshot (consumer_id, schema_name, table_name)
     values ($1, 'public', 't')`,
    [consumerId],
  );
}

test('everything about the consumer is removed, and nothing about others', async () => {
  await fill('old');
  await fill('other');
  await publishRange(database, 1, 2, { channel: 'orders' });
  const removed: Removed = {
    consumerId: 'old',
    doneId: 0,
    // The whole log and its lease, because its position was never moved.
    unread: 9,
    isExact: true,
    retrying: 1,
    blocked: 1,
    dead: 1,
    leases: 1,
    snapshots: 1,
  };
  expect(await remove('old', true)).toEqual({ removed });
  expect(await rowsOf('old')).toEqual([1, 3, 1, 1, 1]);
  expect(await remove('old')).toEqual({ removed });
  expect(await rowsOf('old')).toEqual([0, 0, 0, 0, 0]);
  expect(await rowsOf('other')).toEqual([1, 3, 1, 1, 1]);
  expect(await remove('old')).toBeNull();
});

test.for(['one', 'shared'] as const)(
  'a consumer is kept while a daemon uses it: %s',
  async (instances) => {
    const definition = { id: 'c', channels: ['c'], instances, handle: () => {} };
    const daemon = await startTailing(database.config, [definition]);
    const users = [{ host: expect.any(String), pid: process.pid }];
    expect(await remove('c')).toEqual({ inUse: users });
    expect(await remove('c', true)).toEqual({ inUse: users });
    // Standing by for it is enough: it would be registered again.
    await database.query(`update pgwatch.consumer_progress set owner = null`);
    expect(await remove('c')).toEqual({ inUse: users });
    await daemon.stop();
    expect(await remove('c')).toMatchObject({ removed: { consumerId: 'c' } });
  },
);

test('a frozen owner saves nothing to a new consumer of the same name', async () => {
  const client = await database.connect();
  const consumer = { id: 'c', consumerId: 'c', channels: ['c'], from: 'start' } as const;
  await registerConsumer(client, 'pgwatch', consumer);
  const frozen = await seize(client, consumer);
  expect((await savePositions(client, 'pgwatch', [frozen])).savedIds).toEqual(new Set(['c']));
  expect(await remove('c')).toMatchObject({ removed: { consumerId: 'c' } });
  await registerConsumer(client, 'pgwatch', consumer);
  const owned = await seize(client, consumer);
  // Its epochs start over, so they do not distinguish the two.
  expect(owned.epoch).toBe(frozen.epoch);
  const position = { ...frozen.position, doneId: 500 };
  const { savedIds } = await savePositions(client, 'pgwatch', [{ ...frozen, position }]);
  expect(savedIds).toEqual(new Set());
  expect((await savePositions(client, 'pgwatch', [owned])).savedIds).toEqual(new Set(['c']));
});
