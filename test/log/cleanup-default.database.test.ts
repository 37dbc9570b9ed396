import { afterEach, expect, test } from 'vitest';
import { rebaseLog } from '../../src/log/origin.ts';
import { pageReader } from '../../src/log/page.ts';
import { createPartitions } from '../../src/log/partitions.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { cleanLog, forgetRemoved } from '../../src/log/retention/clean-log.ts';
import { readPartitions } from '../../src/log/retention/partitions.ts';
import { emptyDefault } from '../../src/log/retention/steps.ts';
import { useDatabase } from '../helpers/database.ts';
import { seize } from '../helpers/owner.ts';
import { finishConsumer, forgetPast, publishPast } from '../helpers/past.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a default partition that has grown large is emptied, so partitions can be created again, and
no young or needed notification is removed from it.
*/

const database = useDatabase();
afterEach(() => forgetPast(database));

const options = {
  schema: 'pgwatch',
  before: new Date('2020-01-10'),
  needed: 'keep',
  patienceMs: 5000,
  signal: new AbortController().signal,
} as const;

async function clean(): Promise<{
  outcome: string | undefined;
  removed: number | null | undefined;
}> {
  const client = await database.connect();
  const results = await Array.fromAsync(cleanLog(client, { ...options, scope: 'all' }));
  await client.end();
  return { outcome: results[0]?.outcome, removed: results[0]?.removed };
}

async function inDefault(): Promise<{ payloads: unknown[]; bytes: number }> {
  const { rows } = await database.query(
    `select array(
         select payload from pgwatch.notification_log_default where channel = 'c' order by id
       ) as payloads,
       pg_relation_size('pgwatch.notification_log_default')::float8 as bytes`,
  );
  return rows[0];
}

/** Makes the default partition larger than the limit for creating partitions. */
async function fill(): Promise<void> {
  await database.query(
    `insert into pgwatch.notification_log (xid, created_at, channel, payload)
     select pg_current_xact_id(), '2020-01-02', 'c', to_jsonb(repeat('x', 1800))
     from generate_series(1, 10000)`,
  );
}

test('it is emptied except for young notifications, and partitions are created again', async () => {
  await publishPast(database, 12, ['young, and early']);
  await fill();
  await publishPast(database, 12, ['young']);
  await finishConsumer(database);
  await publishPast(database, 12, ['young, and unread']);
  const { rows } = await database.query(
    `select format('drop table pgwatch.%I', name) as text
     from pgwatch.log_partitions() where starts > now()`,
  );
  for (const { text } of rows) await database.query(text);
  expect((await createPartitions(database.pool, database.config)).created).toEqual([]);
  // A young notification with a low id keeps it from being emptied at once; it is deleted in
  // batches, then emptied.
  expect(await clean()).toEqual({ outcome: 'deleted', removed: 10_000 });
  const left = await inDefault();
  expect(left.payloads).toEqual(['young, and early', 'young', 'young, and unread']);
  expect(left.bytes).toBeLessThan(1_000_000);
  expect((await createPartitions(database.pool, database.config)).created).toHaveLength(3);
});

test.each([0, 10])(
  'a reader that waits while it is rewritten finds the rest; pages read before: %i',
  async (pages) => {
    await registerConsumer(database.pool, 'pgwatch', { id: 'r', channels: ['c'], from: 'start' });
    const reader = await database.connect();
    const { position } = await seize(reader, { consumerId: 'r', channels: ['c'] });
    const request = { position, channels: ['c'], limit: { rows: 10, bytes: 1e6 }, rebasedId: 0 };
    const readPage = pageReader('pgwatch');
    for (let page = 0; page < pages; page++) await readPage(reader, request);
    const [old] = await publishPast(database, 3, ['old']);
    await database.query(
      'update pgwatch.consumer_progress set done_id = $1, done_snapshot = pg_current_snapshot()',
      [old],
    );
    await publishPast(database, 12, ['young, and unread']);
    const cleaner = await database.connect();
    await cleaner.query('begin');
    const span = { before: options.before, upTo: String(old), snapshot: '' };
    span.snapshot = (await database.query('select pg_current_snapshot()::text as s')).rows[0].s;
    expect(await emptyDefault(cleaner, 'pgwatch', span)).toBe('emptied');
    const reading = readPage(reader, request);
    await until('the reader waits', async () => {
      const { rows } = await database.query(
        `select from pg_locks
         where not granted and relation = 'pgwatch.notification_log_default'::regclass`,
      );
      return rows.length > 0;
    });
    await cleaner.query('commit');
    expect((await reading).rows.map((row) => row[5])).toEqual(['"young, and unread"']);
    await Promise.all([cleaner.end(), reader.end()]);
  },
);

test('it is not rewritten if it holds a needed notification, and the rest is deleted', async () => {
  await fill();
  await finishConsumer(database);
  await publishPast(database, 3, ['old, and unread']);
  expect(await clean()).toEqual({ outcome: 'pinned', removed: 10_000 });
  expect((await inDefault()).payloads).toEqual(['old, and unread']);
});

test("publishers' event ids are forgotten when they are old", async () => {
  await database.query(
    `insert into pgwatch.published (event_id, notification_id, digest, created_at)
     select gen_random_uuid(), n, gen_random_uuid(),
       '2020-01-09'::timestamptz + n % 2 * interval '2 days'
     from generate_series(1, 12000) as n`,
  );
  const client = await database.connect();
  expect(await forgetRemoved(client, options)).toBe(6000);
  expect((await database.query('select count(*)::integer from pgwatch.published')).rows).toEqual([
    { count: 6000 },
  ]);
  await client.end();
});

test('the event id of a kept notification is kept', async () => {
  const [kept, gone] = await publishPast(database, 3, ['kept', 'gone']);
  await database.query(
    `insert into pgwatch.published (event_id, notification_id, digest, created_at)
     select gen_random_uuid(), id, gen_random_uuid(), '2020-01-03' from unnest($1::bigint[]) as id`,
    [[kept, gone]],
  );
  await database.query('delete from pgwatch.notification_log where id = $1', [gone]);
  const client = await database.connect();
  expect(await forgetRemoved(client, options)).toBe(1);
  const { rows } = await database.query(
    `select notification_id::float8 as id from pgwatch.published where created_at < '2020-01-04'`,
  );
  expect(rows).toEqual([{ id: kept }]);
  await client.end();
});

test('a rebase does not assign ids of removed notifications again', async () => {
  const [id] = await publishPast(database, 3, ['old']);
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, notification)
     values ('email', $1, 'dead', '{}')`,
    [id],
  );
  expect((await clean()).outcome).toBe('deleted');
  await rebaseLog(database.pool, 'pgwatch');
  const [next] = await publishPast(database, 3, ['new']);
  expect(next).toBeGreaterThan(id as number);
});

test("partition bounds are read correctly whatever the session's settings", async () => {
  const client = await database.connect();
  await client.query(`set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'`);
  const odd = await readPartitions(client, 'pgwatch');
  expect(odd).toEqual(await readPartitions(database.pool, 'pgwatch'));
  expect(odd.at(-1)).toMatchObject({ name: 'notification_log_default', starts: null, ends: null });
  expect(odd[0]?.starts?.toISOString()).toMatch(/T00:00:00.000Z$/);
  await client.end();
});
