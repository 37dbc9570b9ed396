import { beforeEach, expect, test } from 'vitest';
import { ownReason } from '../../src/inspect/why/decide.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { findIdsByEventId, findNotifications } from '../../src/log/find.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { notify } from '../../src/log/publish.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addDelivery } from '../helpers/deliveries.ts';

const database = useDatabase();

beforeEach(() => emptyLog(database));

const outcomes = async (id: number) => {
  const { answers } = await explain(database.pool, database.config, { id, consumerId: null });
  return answers.map((answer) => `${answer.consumerId} ${ownReason(answer)?.code}`);
};

const register = (id: string, from: 'start' | 'now', channels = ['orders']) =>
  registerConsumer(database.pool, 'pgwatch', { id, channels, from });

test('done means passed by the position: neither before its start nor a late commit', async () => {
  await register('behind', 'start');
  const held = await database.connect();
  await held.query('begin');
  const { rows } = await held.query(`select smart_notify('orders')::float8 as id`);
  const early = await notify(database.pool, 'orders', {});
  await register('ahead', 'now');
  await register('elsewhere', 'now', ['users']);
  await held.query('commit');
  expect(await outcomes(early)).toEqual(['ahead skipped', 'behind waiting', 'elsewhere filtered']);
  await database.query(
    `update pgwatch.consumer_progress set done_id = $1, done_snapshot = pg_current_snapshot()
     where consumer_id = 'behind'`,
    [early],
  );
  expect(await outcomes(early)).toEqual(['ahead skipped', 'behind done', 'elsewhere filtered']);
  // Its id is below the position's: comparing ids would call it skipped.
  expect(rows[0].id).toBeLessThan(early);
  expect(await outcomes(rows[0].id)).toEqual(['ahead late', 'behind done', 'elsewhere filtered']);
});

test('deliveries and leases say more than a position, and outlive a consumer', async () => {
  await register('email', 'start');
  await register('shared', 'start');
  const dead = await addDelivery(database, { consumerId: 'email' });
  const retry = await addDelivery(database, { consumerId: 'email', state: 'retry', attempts: 2 });
  const blocked = await addDelivery(database, { consumerId: 'removed', state: 'blocked' });
  await database.query(
    `insert into pgwatch.lease (consumer_id, notification_ids, kind) values ('shared', $1, 'page')`,
    [[retry]],
  );
  expect(await outcomes(dead)).toEqual(['email dead', 'shared waiting']);
  expect(await outcomes(retry)).toEqual(['email backoff', 'shared leased']);
  expect(await outcomes(blocked)).toEqual([
    'email waiting',
    'removed unregistered',
    'shared waiting',
  ]);
});

test('what is gone from the log is found in the copy of a dead letter, once', async () => {
  const id = await addDelivery(database, { consumerId: 'email', payload: { n: 1 } });
  await database.query(
    `insert into pgwatch.delivery select 'webhook', notification_id, state, key, attempts,
       next_attempt_at, called_attempt, is_suspect, is_grouped, replayed_at,
       first_failed_at, last_failed_at, first_error, last_error, notification
     from pgwatch.delivery`,
  );
  const [there] = await findNotifications(database.pool, 'pgwatch', [id]);
  await database.query('truncate pgwatch.notification_log');
  const copies = await findNotifications(database.pool, 'pgwatch', [id]);
  expect([there?.source, copies.map(({ source }) => source)]).toEqual(['log', ['dead letter']]);
  expect(copies[0]?.notification.toJSON()).toEqual(there?.notification.toJSON());
  const eventId = there?.notification.eventId ?? '';
  expect(await findIdsByEventId(database.pool, 'pgwatch', { eventId, since: null })).toEqual([id]);
  expect(await outcomes(id)).toEqual(['email unregistered', 'webhook unregistered']);
});

test('given and derived event ids are found; --since bounds the derived ones', async () => {
  const given = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
  const first = await notify(database.pool, 'orders', 1, { eventId: given });
  const second = await notify(database.pool, 'orders', 2);
  const [found] = await findNotifications(database.pool, 'pgwatch', [second]);
  const eventId = found?.notification.eventId ?? '';
  const find = (id: string, since: Date | null = null) =>
    findIdsByEventId(database.pool, 'pgwatch', { eventId: id, since });
  expect(await find(given)).toEqual([first]);
  expect(await find(eventId)).toEqual([second]);
  expect(await find(eventId, new Date(Date.now() + 60_000))).toEqual([]);
  expect(await find('00000000-0000-8000-8000-000000000000')).toEqual([]);
});
