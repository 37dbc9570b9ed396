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
Goal: a dump with an old position also contains the notifications after it. TRUNCATE ignores
snapshots, so it has to wait for those older than the time when the notifications are known to be
done.
*/

const database = useIsolatedServer();
let day: PastDay;
let sessions: Client[] = [];
let cleaner: Client;
beforeEach(async () => {
  // One connection: a second one could arrive while the server still ends a refused step.
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

/** A session that reads like pg_dump, and has already read the position. */
async function startDump(settings = ''): Promise<Client> {
  const session = await database.connect();
  sessions.push(session);
  await session.query(settings);
  await session.query(
    'begin isolation level repeatable read; select from pgwatch.consumer_progress',
  );
  return session;
}

test('a snapshot with the old position still sees its notifications', async () => {
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

test('the default partition does not lose what such a snapshot needs either', async () => {
  await publishPast(database, 7, [4]);
  const dump = await startDump();
  await finishConsumer(database);
  const { rows } = await database.query(
    `select max(id)::text as "upTo", pg_current_snapshot()::text as snapshot
     from pgwatch.notification_log_default`,
  );
  const span = { before: new Date('2020-02-01'), ...rows[0] };
  const emptied = () => emptyDefault(cleaner, 'pgwatch', span);
  expect(await emptied()).toBe('large');
  expect((await dump.query('select from pgwatch.notification_log')).rows).toHaveLength(4);
  await dump.query('commit');
  expect(await emptied()).toBe('emptied');
});

test('snapshots taken after the notifications were found done do not block it', async () => {
  const dump = await startDump();
  await finishConsumer(database);
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await startDump();
  await dump.query('commit');
  expect(await empty()).toBe('emptied');
});

test('an open writer, whose xid new snapshots start with, does not block it either', async () => {
  const writer = await startDump();
  await writer.query(`rollback; begin; select pg_current_xact_id()`);
  await finishConsumer(database);
  const dump = await startDump();
  await expect(empty()).rejects.toMatchObject({ code: '55P03' });
  await startDump();
  await dump.query('commit');
  expect(await empty()).toBe('emptied');
});

test('notifications needed again meanwhile start the wait over', async () => {
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

test('a session that hides its start still sees its notifications, too', async () => {
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
])('snapshots are compared with the full xid if it is %s 2^32', async (_, since) => {
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
