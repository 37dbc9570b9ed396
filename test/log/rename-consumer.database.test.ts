import { expect, test } from 'vitest';
import { Daemon } from '../../src/daemon/daemon.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { renameConsumer } from '../../src/log/by-hand/rename-consumer.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { collecting, collectReports, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery } from '../helpers/deliveries.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { seize } from '../helpers/owner.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase();
const { tail } = useDaemons(database);

const rename = async (from = 'email', to = 'mailer') =>
  renameConsumer(await database.connect(), 'pgwatch', { from, to });

/** Publishes payloads on a channel, each with itself as its key. */
const publishEach = async (channel: string, ...payloads: string[]) => {
  for (const payload of payloads) await publish(database, payload, { channel, key: payload });
};

async function runOnce(id: string, more: { instances?: 'shared'; from?: 'now' } = {}) {
  const { seen, definition } = collecting({ id, ...more });
  const consumers = [makeConsumer(definition)];
  const { reporter } = collectReports();
  const daemon = new Daemon({ config: database.config, consumers, reporter });
  await daemon.runOnce(new AbortController().signal);
  return seen;
}

async function rowsOf(consumerId: string): Promise<number[]> {
  const tables = [
    'consumer_progress',
    'delivery',
    'discarded',
    'lease',
    'snapshot',
    'consumer_channel',
  ];
  const counts = tables.map(async (table) => {
    const text = `select from pgwatch.${table} where consumer_id = $1`;
    return (await database.query(text, [consumerId])).rowCount ?? 0;
  });
  return Promise.all(counts);
}

test.each(some([undefined, 'shared'] as const))(
  'a renamed consumer continues at its position: %s',
  async (instances) => {
    const own = instances ? { instances } : {};
    await publishEach('c', 'a', 'b');
    expect(await runOnce('email', own)).toEqual(['a', 'b']);
    await publishEach('c', 'd');
    expect(await rename()).toMatchObject({
      is: 'renamed',
      renamed: { from: 'email', to: 'mailer' },
    });
    expect(await runOnce('mailer', own)).toEqual(['d']);
  },
);

test('its deliveries and leases are renamed with it, and nothing of others', async () => {
  for (const consumerId of ['email', 'other']) {
    await registerConsumer(database.pool, 'pgwatch', {
      id: consumerId,
      channels: ['orders', `consumer:${consumerId}`],
      from: 'start',
    });
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
  const counts = { retrying: 1, blocked: 1, dead: 1, leases: 1, snapshots: 1 };
  expect(await rename()).toMatchObject({ is: 'renamed', renamed: counts });
  expect(await rowsOf('email')).toEqual([0, 0, 0, 0, 0, 0]);
  expect(await rowsOf('other')).toEqual([1, 3, 1, 1, 1, 2]);
  expect(await rowsOf('mailer')).toEqual([1, 3, 1, 1, 1, 2]);
  const { rows } = await database.query(
    `select channels from pgwatch.consumer_progress where consumer_id = 'mailer'`,
  );
  expect(rows[0].channels).toEqual(['orders', 'consumer:mailer']);
});

test('notifications waiting on its own channel move along, in the order of keys', async () => {
  await publishEach('c', 'a');
  await runOnce('email');
  await publishEach('consumer:email', 'k', 'l');
  await publishEach('c', 'k', 'm');
  await database.query(`select smart_notify('consumer:email', '"k2"', 'k')`);
  await rename();
  const seen = await runOnce('mailer');
  expect(seen.toSorted()).toEqual(['k', 'k', 'k2', 'l', 'm']);
  expect(seen.filter((payload) => String(payload).startsWith('k'))).toEqual(['k', 'k', 'k2']);
});

test.each(some(['one', 'shared'] as const))(
  'renaming is refused while a daemon uses the consumer: %s',
  async (instances) => {
    const definition = { id: 'email', channels: ['c'], instances, handle() {} };
    await tail(definition);
    const inUse = [{ host: expect.any(String), pid: process.pid }];
    expect(await rename()).toEqual({ is: 'in_use', inUse });
    expect(await rowsOf('mailer')).toEqual([0, 0, 0, 0, 0, 0]);
  },
);

test('renaming is refused if the new name has made progress, or has deliveries', async () => {
  await publishEach('c', 'a');
  await runOnce('email');
  await runOnce('mailer');
  expect(await rename()).toMatchObject({ is: 'taken' });
  await registerConsumer(database.pool, 'pgwatch', { id: 'm', channels: ['c'], from: 'now' });
  await addDelivery(database, { consumerId: 'm' });
  expect(await rename('email', 'm')).toMatchObject({ is: 'taken' });
  expect(await rename('nobody', 'x')).toEqual({ is: 'unknown' });
});

test('a running consumer that has done nothing is replaced, and continues there', async () => {
  await publishEach('c', 'a');
  await runOnce('email');
  const { seen, definition } = collecting({ id: 'mailer', from: 'now' });
  await tail(definition);
  await database.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
     values ('older', '{c,consumer:older}', 0, '1:1:')`,
  );
  expect(await rename('older', 'mailer')).toMatchObject({ is: 'renamed' });
  await until('it has received the missed one', () => seen.length > 0);
  expect(seen).toEqual(['a']);
  await publishEach('c', 'b');
  await until('it goes on', () => seen.length === 2);
});

test('processes that ran either of them before save nothing any more', async () => {
  const client = await database.connect();
  const consumer = (id: string) => ({
    id,
    consumerId: id,
    channels: ['c'],
    from: 'start' as const,
  });
  for (const id of ['email', 'mailer']) await registerConsumer(client, 'pgwatch', consumer(id));
  const before = [];
  for (const id of ['email', 'mailer']) before.push(await seize(client, consumer(id)));
  expect(await rename()).toMatchObject({ is: 'renamed' });
  for (const each of before) {
    const stale = { ...each, position: { ...each.position, doneId: 500 } };
    expect((await savePositions(client, 'pgwatch', [stale])).savedIds).toEqual(new Set());
  }
});

test('renamed leases get ids above all assigned ones, in their order', async () => {
  await registerConsumer(database.pool, 'pgwatch', { id: 'email', channels: ['c'], from: 'now' });
  await database.query('update pgwatch.consumer_progress set is_shared = true');
  await database.query(
    `insert into pgwatch.lease (consumer_id, slot, kind, notification_ids)
     select 'email', n % 2, 'page', array[n] from generate_series(1, 6) as n`,
  );
  // A lease id that a daemon of the new consumer has seen.
  const given = await database.query(
    `insert into pgwatch.lease (consumer_id, slot, kind, notification_ids)
     values ('other', 1, 'page', '{7}') returning lease_id::float8 as id`,
  );
  expect(await rename()).toMatchObject({ is: 'renamed', renamed: { leases: 6 } });
  const { rows } = await database.query(
    `select lease_id::float8 as id, notification_ids[1]::float8 as first
     from pgwatch.lease where consumer_id = 'mailer' order by lease_id`,
  );
  expect(rows.map(({ first }) => first)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(rows[0].id).toBeGreaterThan(given.rows[0].id);
});

test('a consumer that was moved manually is not replaced', async () => {
  await publishEach('c', 'a', 'b');
  await runOnce('email');
  await registerConsumer(database.pool, 'pgwatch', { id: 'mailer', channels: ['c'], from: 'now' });
  const client = await database.connect();
  const seek = { consumerId: 'mailer', to: 'start', seenEpoch: 0, mode: 'idle' } as const;
  expect(await seekPosition(client, 'pgwatch', seek)).not.toBeNull();
  expect(await rename()).toMatchObject({ is: 'taken' });
  expect(await runOnce('mailer')).toEqual(['a', 'b']);
});

test.each(some([{}, { instances: 'shared' as const }]))(
  'notifications on its own channel keep their place, and can be read again: %o',
  async (own) => {
    await publishEach('c', 'a');
    expect(await runOnce('email', own)).toEqual(['a']);
    const send = (channel: string, payload: string) =>
      publish(database, payload, { channel, key: 'k' });
    await send('c', 'v1');
    const ofSnapshot = await send('consumer:email', 'v2');
    await send('c', 'v3');
    await rename();
    expect(await runOnce('mailer', own)).toEqual(['v1', 'v2', 'v3']);
    const client = await database.connect();
    const asked = { id: ofSnapshot, consumerId: 'mailer' };
    const { answers } = await explain(client, database.config, asked);
    expect(answers).toMatchObject([{ isArrived: true }]);
    const { rows } = await client.query('select epoch::float8 from pgwatch.consumer_progress');
    const seek = { consumerId: 'mailer', to: 'start', mode: 'idle' } as const;
    await seekPosition(client, 'pgwatch', { ...seek, seenEpoch: rows[0].epoch });
    expect(await runOnce('mailer', own)).toEqual(['a', 'v1', 'v2', 'v3']);
  },
);
