import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { rebaseLog } from '../../src/log/origin.ts';
import { notify, notifyMany } from '../../src/log/publish.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

async function countOf(eventId: string): Promise<number> {
  const { rows } = await database.query(
    'select count(*)::int as count from pgwatch.notification_log where event_id = $1',
    [eventId],
  );
  return rows[0].count;
}

test('an event published again gets its first id, and is written once', async () => {
  const eventId = randomUUID();
  const publish = () => notify(database.pool, 'orders', { total: 1 }, { eventId, key: 'order:1' });
  const id = await publish();
  expect(await publish()).toBe(id);
  expect(await countOf(eventId)).toBe(1);
});

test('the order of members does not change the content', async () => {
  const eventId = randomUUID();
  const id = await notify(database.pool, 'orders', { a: 1, b: 2 }, { eventId });
  expect(await notify(database.pool, 'orders', { b: 2, a: 1 }, { eventId })).toBe(id);
});

test.each([
  ['payload', { channel: 'orders', payload: { total: 2 }, key: 'order:1' }],
  ['channel', { channel: 'invoices', payload: { total: 1 }, key: 'order:1' }],
  ['key', { channel: 'orders', payload: { total: 1 }, key: 'order:2' }],
  ['key (none)', { channel: 'orders', payload: { total: 1 }, key: null }],
])('an event id with another %s is refused, not ignored', async (_, other) => {
  const eventId = randomUUID();
  const problem = 'has already been published with a different channel, key or payload.';
  await notify(database.pool, 'orders', { total: 1 }, { eventId, key: 'order:1' });
  await expect(notifyMany(database.pool, [{ ...other, eventId }])).rejects.toMatchObject({
    code: 'event_id_taken',
    message: `Event ${eventId} ${problem}`,
  });
  expect(await countOf(eventId)).toBe(1);
});

test('an event of an aborted transaction can be published again', async () => {
  const eventId = randomUUID();
  const client = await database.connect();
  await client.query('begin');
  await notify(client, 'orders', 1, { eventId });
  await client.query('rollback');
  await notify(client, 'orders', 2, { eventId });
  expect(await countOf(eventId)).toBe(1);
});

test('many concurrent publishers of one event write it once, and all get its id', async () => {
  const eventId = randomUUID();
  const publish = () => notify(database.pool, 'race', { n: 1 }, { eventId });
  const ids = await Promise.all(Array.from({ length: 30 }, publish));
  expect(new Set(ids).size).toBe(1);
  expect(await countOf(eventId)).toBe(1);
});

test('a publisher waits for another one that has not yet committed the same event', async () => {
  const eventId = randomUUID();
  const [first, second] = [await database.connect(), await database.connect()];
  await first.query('begin');
  const id = await notify(first, 'orders', 1, { eventId });
  const waiting = notify(second, 'orders', 1, { eventId });
  await until('the second publisher waits', async () => {
    const { rows } = await database.query(
      `select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'
         and query like '%smart_notify%'`,
    );
    return rows.length === 1 || 'none waits';
  });
  await first.query('commit');
  expect(await waiting).toBe(id);
});

test.each([
  ['smart_notify()', (by: Client, eventId: string) => notify(by, 'orders', 1, { eventId })],
  [
    'smart_notify_many()',
    (by: Client, eventId: string) =>
      notifyMany(by, [
        { channel: 'orders', payload: 1, eventId },
        { channel: 'orders', payload: 2, eventId: randomUUID() },
      ]),
  ],
])('an event forgotten while it is published again is written again: %s', async (_, publish) => {
  const eventId = randomUUID();
  await notify(database.pool, 'orders', 1, { eventId });
  // After the insert that finds it, and before its id is looked up.
  await database.query(`
    create function hold() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
    create trigger hold after insert on pgwatch.published
    for each statement execute function hold();
    alter table pgwatch.published enable always trigger hold`);
  const [publisher, cleaner] = [await database.connect(), await database.connect()];
  await cleaner.query('select pg_advisory_lock(4711)');
  const publishing = publish(publisher as Client, eventId);
  await until('it waits', async () => {
    const { rowCount } = await cleaner.query(
      `select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted`,
    );
    return rowCount === 1;
  });
  await cleaner.query('delete from pgwatch.published where event_id = $1', [eventId]);
  await cleaner.query('select pg_advisory_unlock(4711)');
  await publishing;
  await database.query('drop function hold cascade');
  expect(await countOf(eventId)).toBe(2);
});

test('the same event twice in one call is written once', async () => {
  const event = { channel: 'orders', payload: 1, eventId: randomUUID() };
  const [first, second] = await notifyMany(database.pool, [event, event]);
  expect(second).toBe(first);
});

test('an event id that is not a uuid is refused as such', async () => {
  await expect(notify(database.pool, 'orders', 1, { eventId: 'order-1' })).rejects.toMatchObject({
    code: 'input_invalid',
    message: 'An event id is a uuid, not "order-1".',
  });
});

test('an event is written again if the log was emptied, or restored without it', async () => {
  const client = await database.connect();
  const eventId = randomUUID();
  const publish = () => notify(client, 'orders', { total: 1 }, { eventId });
  await publish();
  await client.query('truncate pgwatch.notification_log');
  await publish();
  expect(await countOf(eventId)).toBe(1);
  // The state after pg_dump --exclude-table-data.
  await client.query('delete from pgwatch.notification_log');
  await rebaseLog(client, 'pgwatch');
  await publish();
  expect(await countOf(eventId)).toBe(1);
  await rebaseLog(client, 'pgwatch');
  await publish();
  expect(await countOf(eventId)).toBe(1);
  await client.end();
});
