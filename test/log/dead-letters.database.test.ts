import { beforeAll, expect, test } from 'vitest';
import {
  countDeliveries,
  type FiledDelivery,
  listDeliveries,
  readDeliveries,
} from '../../src/log/deliveries/dead-letters.ts';
import { type DeliveryFilter, NO_FILTER } from '../../src/log/deliveries/filter.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery } from '../helpers/deliveries.ts';

const database = useDatabase();
const HOUR_MS = 3_600_000;
const ids: Record<string, number> = {};

beforeAll(async () => {
  const timeout = { name: 'TimeoutError', message: 'Took 100% of 5_000 ms', stack: 'x'.repeat(9) };
  ids.old = await addDelivery(database, { failedAgoMs: 48 * HOUR_MS, key: 'order:1' });
  ids.timeout = await addDelivery(database, { failedAgoMs: HOUR_MS, error: timeout });
  ids.webhook = await addDelivery(database, { consumerId: 'webhook', channel: 'users' });
  ids.retry = await addDelivery(database, { state: 'retry', channel: 'users', attempts: 2 });
  ids.blocked = await addDelivery(database, { state: 'blocked', channel: 'users' });
});

async function listed(filter: Partial<DeliveryFilter>, limit = 50): Promise<FiledDelivery[]> {
  return listDeliveries(database.pool, 'pgwatch', { filter: { ...NO_FILTER, ...filter }, limit });
}

test.each<[Partial<DeliveryFilter>, string[]]>([
  [{}, ['retry', 'webhook', 'timeout', 'old', 'blocked']],
  [{ state: 'dead' }, ['webhook', 'timeout', 'old']],
  [{ state: 'dead', consumerIds: ['email'] }, ['timeout', 'old']],
  [{ consumerIds: ['webhook', 'nobody'] }, ['webhook']],
  [{ errorText: 'econnrefused', state: 'dead' }, ['webhook', 'old']],
  [{ errorText: 'TIMEOUTERROR: took' }, ['timeout']],
  [{ errorText: '100% of 5_' }, ['timeout']],
  [{ errorText: '%' }, ['timeout']],
  [{ errorText: '5_0' }, ['timeout']],
  [{ errorText: '5__' }, []],
  [{ errorText: 'xxxxxxxxx' }, []],
  [{ olderThanMs: 24 * HOUR_MS }, ['old']],
  [{ newerThanMs: 24 * HOUR_MS, state: 'dead' }, ['webhook', 'timeout']],
  [{ newerThanMs: 24 * HOUR_MS, olderThanMs: HOUR_MS / 2 }, ['timeout']],
  [{ olderThanMs: 1e300 }, []],
  [{ newerThanMs: Number.POSITIVE_INFINITY, state: 'dead' }, ['webhook', 'timeout', 'old']],
  [{ channel: 'users' }, ['retry', 'webhook', 'blocked']],
  [{ key: 'order:1' }, ['old']],
  [{ key: '' }, []],
])('%j matches %j, the newest failure first', async (filter, names) => {
  const found = await listed(filter);
  expect(found.map(({ id }) => id)).toEqual(names.map((name) => ids[name]));
  expect(await countDeliveries(database.pool, 'pgwatch', { ...NO_FILTER, ...filter })).toBe(
    names.length,
  );
});

test('a listed delivery is complete except for its payload', async () => {
  const [blocked] = await listed({ state: 'blocked' });
  expect(blocked).toEqual({
    consumerId: 'email',
    id: ids.blocked,
    channel: 'users',
    key: null,
    state: 'blocked',
    attempts: 0,
    nextAttemptAt: null,
    calledAttempt: null,
    replayedAt: null,
    firstFailedAt: null,
    lastFailedAt: null,
    firstError: null,
    lastError: null,
  });
  const [newest, ...others] = await listed({ state: 'dead' }, 1);
  expect(others).toEqual([]);
  expect(newest).toMatchObject({
    id: ids.webhook,
    channel: 'users',
    attempts: 5,
    lastFailedAt: expect.any(Date),
    lastError: {
      name: 'Error',
      message: expect.stringMatching(/^connect/),
      stack: expect.stringMatching(/at send/),
    },
  });
});

test("a copy matches the view's notification, even after the log has lost it", async () => {
  await database.query(`create table items (id int primary key, name text, amount numeric);
    create trigger c after insert or update or delete on items
      for each row execute function notify_data_change();
    insert into items values (1, 'a', 12345678901234567890.5); update items set name = 'b';
    delete from items;
    select smart_notify('data_change', 'null', 'k', gen_random_uuid());
    select smart_notify('data_change', '{"big": 9007199254740993, "deep": [{"a": null}]}')`);
  await database.query(`insert into pgwatch.delivery
      (consumer_id, notification_id, state, key, notification, payload, old_row, new_row)
    select 'copies', id, 'dead', key, pgwatch.delivery_notification(log), payload, old_row, new_row
    from pgwatch.notification_log as log
    where channel = 'data_change'`);
  const { rows } = await database.query(
    `select id::float8, event_id as "eventId", channel, key, payload::text,
       extract(epoch from created_at)::float8 * 1000 as "createdMs"
     from pgwatch.notification where channel = 'data_change' order by id`,
  );
  const read = async () => {
    const filter = { ...NO_FILTER, consumerIds: ['copies'] };
    const found = await readDeliveries(database.pool, 'pgwatch', filter);
    return found.map(({ notification }) => notification);
  };
  const copies = await read();
  await database.query(`update pgwatch.delivery set notification = null
    where consumer_id = 'copies'`);
  const fromLog = await read();
  expect(rows).toHaveLength(5);
  for (const found of [copies, fromLog]) {
    expect(found.map((each) => each && [each.id, each.eventId, each.channel, each.key])).toEqual(
      rows.map((row) => [row.id, row.eventId, row.channel, row.key]),
    );
    expect(found.map((each) => each?.createdAt.getTime())).toEqual(
      rows.map((row) => Math.floor(row.createdMs)),
    );
    expect(found.map((each) => each?.payload)).toEqual(copies.map((each) => each?.payload));
  }
  expect(copies.map((each) => each?.payload)).toMatchObject([
    { action: 'INSERT', new_data: { name: 'a', amount: '12345678901234567890.5' } },
    { action: 'UPDATE', changed: ['name'] },
    { action: 'DELETE', new_data: null },
    null,
    { big: '9007199254740993' },
  ]);
  await database.query(`delete from pgwatch.notification_log where channel = 'data_change'`);
  expect(await read()).toEqual([null, null, null, null, null]);
});
