import type { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { errorCodeOf } from '../../src/errors.ts';
import { type CleanOptions, removePartition } from '../../src/log/retention/clean.ts';
import { cleanLog } from '../../src/log/retention/clean-log.ts';
import { readPartitions } from '../../src/log/retention/partitions.ts';
import { dropPartition, emptyPartition, lockCleanup } from '../../src/log/retention/steps.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import {
  createPastDay,
  finishConsumer,
  forgetPast,
  type PastDay,
  publishPast,
} from '../helpers/past.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: no writer waits longer than 200 ms for cleanup, whatever other sessions hold the locks it
needs.
Method: no time is measured. The writers' sessions have a lock timeout of 200 ms, and none may reach
it.
*/

// An isolated server without NOTIFY: otherwise they would also wait for others' commits and disks.
const database = useIsolatedServer();
let day: PastDay;
beforeEach(async () => {
  day = await createPastDay(database, 5);
});
afterEach(() => forgetPast(database));

const dropping = (patienceMs: number) => ({ ...options(patienceMs), dropPatienceMs: patienceMs });

const options = (patienceMs: number): CleanOptions => ({
  schema: 'pgwatch',
  before: new Date('2020-02-01'),
  needed: 'keep',
  patienceMs,
  signal: new AbortController().signal,
});

/**
 * Writers that publish one notification after another. Returns how to stop them and how many they
 * wrote.
 */
async function startWriters(count: number) {
  let isStopped = false;
  let written = 0;
  const run = async () => {
    const client = await database.connect();
    await client.query(`set lock_timeout = '200ms'; set pgwatch.notify = 'off'`);
    try {
      do {
        await client.query(`select smart_notify('busy')`);
        written += 1;
      } while (!isStopped);
    } finally {
      await client.end();
    }
  };
  const running = Promise.all(Array.from({ length: count }, run));
  running.catch(() => {});
  return {
    get written() {
      return written;
    },
    async stop() {
      isStopped = true;
      await running;
    },
  };
}

async function partition() {
  const found = (await readPartitions(database.pool, 'pgwatch')).find(
    ({ name }) => name === day.name,
  );
  if (!found) throw new Error(`${day.name} is gone`);
  return found;
}

/** A writer whose transaction stays open. */
async function holdOpen(): Promise<Client> {
  const client = await database.connect();
  await client.query('begin');
  await client.query(`select smart_notify('held')`);
  return client;
}

test('with an open transaction, a partition is emptied first and dropped later', async () => {
  await publishPast(database, 5, ['old']);
  await finishConsumer(database);
  const holder = await holdOpen();
  const writers = await startWriters(4);
  const client = await database.connect();
  const first = await removePartition(client, dropping(1500), await partition());
  expect(first).toEqual({
    type: 'emptied',
    wasEmpty: false,
    heldBy: expect.stringContaining('pid'),
  });
  const { rows } = await database.query(`select from pgwatch.${day.name}`);
  expect(rows).toEqual([]);
  const before = writers.written;
  const second = removePartition(client, dropping(10_000), await partition());
  await until('they keep writing', () => writers.written > before + 20);
  await holder.query('commit');
  await holder.end();
  expect(await second).toEqual({ type: 'dropped', wasEmpty: true });
  // None of them reached its lock timeout.
  await writers.stop();
  expect(writers.written).toBeGreaterThan(20);
  await client.end();
});

test('a cleanup that waits too long for the lock of the log blocks writers', async () => {
  const holder = await holdOpen();
  await database.query(
    `alter function pgwatch.log_drop(text, timestamptz) set lock_timeout = '5s'`,
  );
  const client = await database.connect();
  const waiting = removePartition(client, dropping(0), await partition());
  try {
    await until('it waits', async () => {
      const { rows } = await database.query(
        `select from pg_locks
         where not granted and relation = 'pgwatch.notification_log'::regclass`,
      );
      return rows.length > 0;
    });
    const writers = await startWriters(1);
    await expect(writers.stop()).rejects.toMatchObject({ code: '55P03' });
  } finally {
    await database.query(
      `alter function pgwatch.log_drop(text, timestamptz) set lock_timeout = '50ms'`,
    );
    await holder.query('commit');
  }
  expect(await waiting).toMatchObject({ type: 'dropped' });
  await Promise.all([client.end(), holder.end()]);
});

test('emptying a partition needs no lock that writers of other partitions hold', async () => {
  await publishPast(database, 5, ['old']);
  await finishConsumer(database);
  const holder = await holdOpen();
  const { rows } = await holder.query(
    `select relation::regclass::text as name, mode from pg_locks
     where pid = pg_backend_pid() and locktype = 'relation'
       and relation::regclass::text like '%notification_log%' and mode <> 'AccessShareLock'
       and relation in (select oid from pg_class where relkind in ('r', 'p'))`,
  );
  const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  expect(rows.map(({ name }) => name).toSorted()).toEqual([
    'pgwatch.notification_log',
    `pgwatch.notification_log_${today}`,
  ]);
  const client = await database.connect();
  const target = { partition: day.name, before: day.ends, counted: null };
  expect(await emptyPartition(client, 'pgwatch', target)).toBe('emptied');
  await holder.query('rollback');
  await Promise.all([client.end(), holder.end()]);
});

test('cleanup waits for a reader only briefly, and names it', async () => {
  await publishPast(database, 5, ['old']);
  await finishConsumer(database);
  const reader = await database.connect();
  await reader.query(`set application_name = 'dump'`);
  await reader.query('begin; select count(*) from pgwatch.notification_log');
  const client = await database.connect();
  const outcome = await removePartition(client, dropping(0), await partition());
  expect(outcome).toEqual({ type: 'locked', heldBy: expect.stringContaining('(dump)') });
  await reader.query('commit');
  await Promise.all([client.end(), reader.end()]);
});

test('partitions are created and removed at the same time without conflict', async () => {
  const client = await database.connect();
  let creations = 0;
  let isDone = false;
  const creating = (async () => {
    while (!isDone) {
      await database.query(`select pgwatch.log_partition_create('day', 3 + $1::integer)`, [
        creations++ % 20,
      ]);
    }
  })();
  for (let round = 0; round < 15; round++) {
    await createPastDay(database, 5 + round).catch((thrown: unknown) => {
      if (errorCodeOf(thrown) !== '40P01') throw thrown;
    });
    for await (const cleaned of cleanLog(client, { ...options(10_000), scope: 'whole' })) {
      expect(cleaned.outcome).toBe('dropped');
    }
  }
  isDone = true;
  await creating;
  const names = (await readPartitions(client, 'pgwatch')).map(({ starts }) => starts);
  expect(names.filter((starts) => starts !== null && starts < new Date('2021-01-01'))).toEqual([]);
  await client.end();
});

test('only one session at a time can clean up', async () => {
  const [first, second] = [await database.connect(), await database.connect()];
  expect(await lockCleanup(first, 'pgwatch')).toBe(true);
  expect(await lockCleanup(second, 'pgwatch')).toBe(false);
  const target = { partition: day.name, before: day.ends };
  expect(await dropPartition(second, 'pgwatch', target).catch(errorCodeOf)).toBe('55P03');
  await first.end();
  await until('the lock is free', () => lockCleanup(second, 'pgwatch'));
  expect(await dropPartition(second, 'pgwatch', target)).toBe('dropped');
  await second.end();
});
