import { afterEach, expect, test } from 'vitest';
import { rebaseLog } from '../../src/log/origin.ts';
import { createPartitions } from '../../src/log/partitions.ts';
import { cleanLog, cleanPublished } from '../../src/log/retention/clean-log.ts';
import { readPartitions } from '../../src/log/retention/partitions.ts';
import { useDatabase } from '../helpers/database.ts';
import { finishConsumer, forgetPast, publishPast } from '../helpers/past.ts';

/*
Goal: a default partition that has become large is emptied, so that partitions are created again, and nothing
that is young or needed leaves it.
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
    `select array(select payload from pgwatch.notification_log_default where channel = 'c' order by id) as payloads,
       pg_relation_size('pgwatch.notification_log_default')::float8 as bytes`,
  );
  return rows[0];
}

/** Makes the default partition larger than what partitions are created with. */
async function fill(): Promise<void> {
  await database.query(
    `insert into pgwatch.notification_log (xid, created_at, channel, payload)
     select pg_current_xact_id(), '2020-01-02', 'c', to_jsonb(repeat('x', 1800)) from generate_series(1, 10000)`,
  );
}

test('it is emptied, but for what is young, and partitions are created again', async () => {
  await publishPast(database, 12, ['young, and early']);
  await fill();
  await publishPast(database, 12, ['young']);
  await finishConsumer(database);
  await publishPast(database, 12, ['young, and unread']);
  const { rows } = await database.query(
    `select format('drop table pgwatch.%I', name) as text from pgwatch.log_partitions() where starts > now()`,
  );
  for (const { text } of rows) await database.query(text);
  expect((await createPartitions(database.pool, database.config)).created).toEqual([]);
  // What is young and has a low id keeps it from being emptied at once; it is deleted in batches, then emptied.
  expect(await clean()).toEqual({ outcome: 'deleted', removed: 10_000 });
  const left = await inDefault();
  expect(left.payloads).toEqual(['young, and early', 'young', 'young, and unread']);
  expect(left.bytes).toBeLessThan(1_000_000);
  expect((await createPartitions(database.pool, database.config)).created).toHaveLength(3);
});

test('it is left as it is where something of it is needed, and the rest is deleted', async () => {
  await fill();
  await finishConsumer(database);
  await publishPast(database, 3, ['old, and unread']);
  expect(await clean()).toEqual({ outcome: 'pinned', removed: 10_000 });
  expect((await inDefault()).payloads).toEqual(['old, and unread']);
});

test("publishers' event ids are forgotten with what is old", async () => {
  await database.query(
    `insert into pgwatch.published (event_id, notification_id, digest, created_at)
     select gen_random_uuid(), n, gen_random_uuid(), '2020-01-09'::timestamptz + n % 2 * interval '2 days'
     from generate_series(1, 12000) as n`,
  );
  const client = await database.connect();
  expect(await cleanPublished(client, options)).toBe(6000);
  expect((await database.query('select count(*)::integer from pgwatch.published')).rows).toEqual([
    { count: 6000 },
  ]);
  await client.end();
});

test('ids of what was removed are not given again by a rebase', async () => {
  const [id] = await publishPast(database, 3, ['old']);
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, notification) values ('email', $1, 'dead', '{}')`,
    [id],
  );
  expect((await clean()).outcome).toBe('deleted');
  await rebaseLog(database.pool, 'pgwatch');
  const [next] = await publishPast(database, 3, ['new']);
  expect(next).toBeGreaterThan(id as number);
});

test('the bounds of partitions are read whatever the session prefers', async () => {
  const client = await database.connect();
  await client.query(`set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'`);
  const odd = await readPartitions(client, 'pgwatch');
  expect(odd).toEqual(await readPartitions(database.pool, 'pgwatch'));
  expect(odd.at(-1)).toMatchObject({ name: 'notification_log_default', starts: null, ends: null });
  expect(odd[0]?.starts?.toISOString()).toMatch(/T00:00:00.000Z$/);
  await client.end();
});
