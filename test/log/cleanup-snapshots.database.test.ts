import type { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { emptyDefault, emptyPartition } from '../../src/log/retention/steps.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import {
  createPastDay,
  finishConsumer,
  forgetPast,
  type PastDay,
  publishPast,
} from '../helpers/past.ts';

/*
Goal: a dump that has an old position has the notifications for it, too. Truncating minds no snapshot, so that it has to
wait for those that are older than what it knows to be done.
*/

const database = useIsolatedServer();
let day: PastDay;
let sessions: Client[] = [];
let cleaner: Client;
beforeEach(async () => {
  // One connection: another could come while the server still ends a step that it has refused.
  cleaner = await database.connect();
  day = await createPastDay(database, 5);
  await finishConsumer(database);
  await publishPast(database, 5, [1, 2, 3]);
});
afterEach(async () => {
  await Promise.all([...sessions, cleaner].map((session) => session.end()));
  sessions = [];
  await forgetPast(database);
});

const empty = () =>
  emptyPartition(cleaner, 'pgwatch', {
    partition: day.name,
    before: new Date('2020-02-01'),
    counted: null,
  });

/** A session that reads as pg_dump does, with the position already read. */
async function startDump(settings = ''): Promise<Client> {
  const session = await database.connect();
  sessions.push(session);
  await session.query(settings);
  await session.query(
    'begin isolation level repeatable read; select from pgwatch.consumer_progress',
  );
  return session;
}

test('a snapshot that has the old position has its notifications', async () => {
  const dump = await startDump();
  await finishConsumer(database);
  await expect(empty()).rejects.toMatchObject({
    code: '55P03',
    detail: expect.stringMatching(/^process \d+ \(.*\), whose snapshot is older/),
  });
  const { rows } = await dump.query('select from pgwatch.notification_log');
  expect(rows).toHaveLength(3);
  await dump.query('commit');
  expect(await empty()).toBe('emptied');
});

test('nor does the default partition lose what such a snapshot needs', async () => {
  await publishPast(database, 7, [4]);
  const dump = await startDump();
  await finishConsumer(database);
  const { rows } = await database.query(
    `select max(id)::text as "upTo", pg_current_snapshot()::text as snapshot from pgwatch.notification_log_default`,
  );
  const span = { before: new Date('2020-02-01'), ...rows[0] };
  const emptied = () => emptyDefault(cleaner, 'pgwatch', span);
  expect(await emptied()).toBe('large');
  expect((await dump.query('select from pgwatch.notification_log')).rows).toHaveLength(4);
  await dump.query('commit');
  expect(await emptied()).toBe('emptied');
});

test('snapshots that come after it was found to be done do not hold it', async () => {
  const dump = await startDump();
  await finishConsumer(database);
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await startDump();
  await dump.query('commit');
  expect(await empty()).toBe('emptied');
});

test('nor does an open writer, whose id new snapshots begin with', async () => {
  const writer = await startDump();
  await writer.query(`rollback; begin; select pg_current_xact_id()`);
  await finishConsumer(database);
  const dump = await startDump();
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await startDump();
  await dump.query('commit');
  expect(await empty()).toBe('emptied');
});

test('what is needed again meanwhile begins anew', async () => {
  const dump = await startDump();
  await finishConsumer(database);
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await database.query(`update pgwatch.consumer_progress set done_id = 0, done_snapshot = '1:1:'`);
  expect(await empty()).toBe('pinned');
  const later = await startDump();
  await dump.query('commit');
  await finishConsumer(database);
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await later.query('commit');
  expect(await empty()).toBe('emptied');
});

test('a session that does not say when it began has its notifications, too', async () => {
  const dump = await startDump('set track_activities = off');
  await finishConsumer(database);
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await startDump('set track_activities = off');
  await dump.query('commit');
  expect(await empty()).toBe('emptied');
});

test.each([
  ['just above', 2n ** 32n + 5n],
  ['far above', 7n * 2n ** 32n - 1n],
])('snapshots are compared with an xid %s 2^32 as a whole', async (_, since) => {
  await finishConsumer(database);
  const dump = await startDump();
  await database.query(
    `insert into pgwatch.log_origin (done_since)
     values (jsonb_build_object($1::text, jsonb_build_array($2::xid8, clock_timestamp())))
     on conflict (is_only) do update set done_since = excluded.done_since`,
    [day.name, String(since)],
  );
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await dump.query('commit');
  expect(await empty()).toBe('emptied');
});
