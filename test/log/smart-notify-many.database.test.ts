import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { type NewNotification, notify, notifyMany } from '../../src/log/publish.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

let round = 0;
/** Separate events for each test. */
function makeEvents(count: number): (NewNotification & { eventId: string })[] {
  round += 1;
  return Array.from({ length: count }, (_, n) => ({
    channel: 'many',
    payload: { n },
    key: n % 2 === 0 ? 'even' : null,
    eventId: `00000000-0000-4000-${8000 + round}-${String(n).padStart(12, '0')}`,
  }));
}

async function logged(ids: readonly number[]) {
  const { rows } = await database.query(
    `select id::float8, channel, key, payload, event_id as "eventId" from pgwatch.notification_log
     where id = any($1) order by id`,
    [ids],
  );
  return rows;
}

/** Waits until the session waits for another transaction. */
async function untilWaiting(client: Client): Promise<void> {
  const { processID: pid } = client as Client & { processID: number };
  await until('it waits', async () => {
    const { rows } = await database.query(
      `select wait_event_type from pg_stat_activity where pid = $1`,
      [pid],
    );
    return rows[0]?.wait_event_type === 'Lock';
  });
}

test('ids follow the given order, whatever the event ids, and duplicates count once', async () => {
  const events = makeEvents(20).toReversed();
  const ids = await notifyMany(database.pool, events);
  expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  expect(await logged(ids)).toEqual(events.map((event, i) => ({ id: ids[i], ...event })));
  expect(await notifyMany(database.pool, events.toReversed())).toEqual(ids.toReversed());
  const [{ channel, payload, ...options }] = events as [(typeof events)[0]];
  expect(await notify(database.pool, channel, payload, options)).toBe(ids[0]);
});

test('an event given twice is published once, notifications without an id each time', async () => {
  const [one, other] = makeEvents(2) as [NewNotification, NewNotification];
  const bare = { channel: 'many', payload: null };
  const ids = await notifyMany(database.pool, [one, bare, other, one, bare]);
  expect(ids[3]).toBe(ids[0]);
  expect(new Set(ids).size).toBe(4);
  expect(await logged(ids)).toHaveLength(4);
});

test.each([
  [
    'one of its event ids for two events',
    'event_id_taken',
    (events: NewNotification[]) => [...events, { ...events[0], payload: 'other' }],
  ],
  [
    'a bad channel',
    'channel_invalid',
    (events: NewNotification[]) => [...events, { ...events[0], channel: '' }],
  ],
] as const)('nothing is published with %s', async (_, code, change) => {
  const events = makeEvents(3);
  const wrong = change(events) as NewNotification[];
  await expect(notifyMany(database.pool, wrong)).rejects.toMatchObject({ code });
  const ids = await notifyMany(database.pool, events);
  expect(await logged(ids)).toHaveLength(3);
});

test('arrays of different lengths are refused', async () => {
  await expect(
    database.query(`select smart_notify_many('{a,b}', '{1}', '{null}', '{null}')`),
  ).rejects.toMatchObject({ code: 'PW004' });
  const { rows } = await database.query(`select smart_notify_many('{}', '{}', '{}', '{}') as ids`);
  expect(rows).toEqual([{ ids: [] }]);
});

test('publishers of the same events in different orders wait, but never deadlock', async () => {
  const [first, second, third] = await Promise.all([0, 1, 2].map(() => database.connect()));
  const clients = [first, second, third] as [Client, Client, Client];
  for (let turn = 0; turn < 5; turn += 1) {
    const events = makeEvents(60);
    const shuffled = [
      events,
      events.toReversed(),
      events.toSorted(
        (a, b) => ((a.payload as { n: number }).n % 7) - ((b.payload as { n: number }).n % 7),
      ),
    ];
    // The event in the middle is locked, so all are amid their events at once.
    await database.pool.query('select 1');
    const holder = await database.connect();
    await holder.query('begin');
    await notifyMany(holder, [events[30] as NewNotification]);
    const publishing = clients.map((client, i) => notifyMany(client, shuffled[i] ?? []));
    for (const client of clients) await untilWaiting(client);
    await holder.query('rollback');
    await holder.end();
    const ids = await Promise.all(publishing);
    for (const found of ids)
      expect(found.toSorted((a, b) => a - b)).toEqual((ids[0] ?? []).toSorted((a, b) => a - b));
  }
});
