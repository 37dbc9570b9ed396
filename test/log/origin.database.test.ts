import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rebaseLog, requireOwnCluster } from '../../src/log/origin.ts';
import { startDaemon, startTailing } from '../helpers/daemon.ts';
import { type TestDatabase, useIsolatedServer } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a log that comes from another cluster, or whose sequence was set back, is refused by name; and
after the remedy nothing is lost. Method: two servers, one of them with many more transactions behind
it; its rows are copied to the younger one as pg_restore does it, stored xids included.
*/

const older = useIsolatedServer();
const younger = useIsolatedServer();
let ageing: Client;

beforeAll(async () => {
  ageing = await older.connect();
  await ageing.query(`create procedure burn(n int) language plpgsql as $$
    begin for i in 1..n loop perform pg_current_xact_id(); commit; end loop; end $$`);
  await ageing.query('call burn(5000)');
});

beforeEach(async () => {
  for (const database of [older, younger]) {
    await database.query(
      `truncate pgwatch.notification_log, pgwatch.consumer_progress restart identity`,
    );
    await database.query('update pgwatch.log_origin set rebased_id = 0');
  }
});

afterAll(() => ageing.end());

/** Publishes payloads from a to b, each in a transaction of its own. */
async function publish(database: TestDatabase, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++)
    await database.query(`select smart_notify('c', to_jsonb($1::int))`, [n]);
}

/**
 * Runs the daemon until the consumer has been given the last payload; returns what it was given.
 */
async function handleUntil(database: TestDatabase, last: number): Promise<unknown[]> {
  const seen: unknown[] = [];
  const daemon = await startTailing(database.config, [
    { id: 'c', channels: ['c'], handle: ({ payload }) => seen.push(payload) },
  ]);
  await until(`${last} arrives`, () => seen.includes(last) || `seen ${seen.length}`);
  await daemon.stop();
  return seen;
}

async function copyToYounger({ withSequence }: { withSequence: boolean }): Promise<void> {
  for (const table of ['notification_log', 'consumer_progress', 'log_origin']) {
    const { rows } = await older.query(
      `select to_jsonb(t)::text as row from pgwatch.${table} as t`,
    );
    if (table === 'log_origin') continue;
    await younger.query(
      `insert into pgwatch.${table} overriding system value
       select r.* from unnest($1::text[]) as source, jsonb_populate_record(null::pgwatch.${table}, source::jsonb) as r`,
      [rows.map(({ row }) => row)],
    );
  }
  if (!withSequence) return;
  const { rows } = await older.query('select last_value from pgwatch.notification_log_id_seq');
  await younger.query(`select setval('pgwatch.notification_log_id_seq', $1)`, [rows[0].last_value]);
}

async function refusal(database: TestDatabase): Promise<Error> {
  const daemon = startDaemon(database.config, [{ id: 'c', channels: ['c'], handle() {} }]);
  const error = await daemon.ended.then(
    () => new Error('it ran'),
    (thrown: Error) => thrown,
  );
  await daemon.stop().catch(() => {});
  return error;
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('a log restored into a younger cluster', () => {
  test('is refused with the remedy, which hands on what was not handled, and what comes', async () => {
    await publish(older, 1, 20);
    expect(await handleUntil(older, 20)).toEqual(numbers(1, 20));
    await publish(older, 21, 30);
    await copyToYounger({ withSequence: true });

    const error = await refusal(younger);
    expect(error).toMatchObject({ code: 'cluster_restored' });
    expect(error.message).toMatch(/another PostgreSQL cluster.*Run "pgwatch migrate rebase"/);

    await rebaseLog(younger.pool, 'pgwatch');
    await publish(younger, 31, 33);
    expect(await handleUntil(younger, 33)).toEqual(numbers(21, 33));
    await publish(younger, 34, 34);
    expect(await handleUntil(younger, 34)).toEqual([34]);
  });

  test('keeps what had committed late and was not handled', async () => {
    const late = await older.connect();
    await late.query('begin');
    await late.query(`select smart_notify('c', '100')`);
    await publish(older, 1, 5);
    expect(await handleUntil(older, 5)).toEqual(numbers(1, 5));
    await late.query('commit');
    await late.end();
    await copyToYounger({ withSequence: true });
    await rebaseLog(younger.pool, 'pgwatch');
    expect(await handleUntil(younger, 100)).toContain(100);
  });

  test('keeps what was written into it before the remedy, also where the sequence was not copied', async () => {
    await publish(older, 1, 10);
    await handleUntil(older, 10);
    await copyToYounger({ withSequence: false });
    await publish(younger, 11, 13);
    expect(await refusal(younger)).toMatchObject({ code: 'cluster_restored' });
    await rebaseLog(younger.pool, 'pgwatch');
    await publish(younger, 14, 14);
    expect(await handleUntil(younger, 14)).toEqual(expect.arrayContaining(numbers(11, 14)));
  });

  test('is read in pages that hold rows of both clusters', async () => {
    await publish(older, 1, 10);
    await copyToYounger({ withSequence: true });
    await rebaseLog(younger.pool, 'pgwatch');
    await publish(younger, 11, 20);
    const seen: unknown[] = [];
    const daemon = await startTailing({ ...younger.config, maxBatchSize: 3 }, [
      { id: 'new', channels: ['c'], handle: ({ payload }) => seen.push(payload) },
    ]);
    await daemon.stop();
    expect(seen).toEqual(numbers(1, 20));
  });

  test('keeps the event ids', async () => {
    await publish(older, 1, 3);
    const ids = async ({ query }: TestDatabase) =>
      (await query('select event_id from pgwatch.notification order by id')).rows;
    const before = await ids(older);
    await copyToYounger({ withSequence: true });
    await rebaseLog(younger.pool, 'pgwatch');
    expect(await ids(younger)).toEqual(before);
  });
});

describe('a sequence that was set back', () => {
  test('is refused with the remedy, which hands on what was written since, and nothing twice', async () => {
    await publish(younger, 1, 10);
    await handleUntil(younger, 10);
    await younger.query(`select setval('pgwatch.notification_log_id_seq', 3)`);
    await publish(younger, 11, 13);

    const error = await refusal(younger);
    expect(error).toMatchObject({ code: 'cluster_restored' });
    expect(error.message).toMatch(/sequence.*set back.*Run "pgwatch migrate rebase"/);

    await rebaseLog(younger.pool, 'pgwatch');
    const { rows } = await younger.query(
      'select count(*) = count(distinct id) as is_unique from pgwatch.notification_log',
    );
    expect(rows).toEqual([{ is_unique: true }]);
    await publish(younger, 14, 14);
    expect(await handleUntil(younger, 14)).toEqual(numbers(11, 14));
  });
});

test('a cluster of its own is not refused, not even with an empty log', async () => {
  expect(await requireOwnCluster(younger.pool, younger.config)).toBe(0);
  await publish(younger, 1, 2);
  expect(await requireOwnCluster(younger.pool, younger.config)).toBe(0);
});
