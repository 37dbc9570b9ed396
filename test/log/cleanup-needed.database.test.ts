import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errorCodeOf } from '../../src/errors.ts';
import { fileReplay } from '../../src/log/by-hand/replay-file.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { deleteBatch, emptyPartition } from '../../src/log/retention/steps.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import {
  createPastDay,
  finishConsumer,
  forgetPast,
  type PastDay,
  publishPast,
} from '../helpers/past.ts';
import { until } from '../helpers/wait.ts';
import { RIGHT_CLEANUP, WRONG_CLEANUPS } from '../racing/wrong-cleanup.ts';

/*
Goal: a needed notification is kept in each interleaving in which the need becomes known late.
Method: each interleaving step by step; if it concerns the check itself, also with a cleanup that
leaves out just that check and therefore must lose the notification.
*/

const database = useIsolatedServer({ max_prepared_transactions: '5' });
let day: PastDay;
beforeEach(async () => {
  day = await createPastDay(database, 5);
});
afterEach(() => forgetPast(database));

/** Retries until no other session is in the way. */
async function empty(): Promise<string> {
  const client = await database.connect();
  const target = { partition: day.name, before: day.ends, counted: null };
  let outcome: string = 'locked';
  await until('the lock is free', async () => {
    outcome = await attempt(() => emptyPartition(client, 'pgwatch', target));
    return outcome !== 'locked';
  });
  await client.end();
  return outcome;
}

async function attempt<T>(step: () => Promise<T>): Promise<T | 'locked'> {
  return step().catch((thrown: unknown) => {
    if (errorCodeOf(thrown) !== '55P03') throw thrown;
    return 'locked' as const;
  });
}

async function begin(): Promise<Client> {
  const client = await database.connect();
  await client.query('begin');
  return client;
}

async function commit(client: Client): Promise<void> {
  await client.query('commit');
  await client.end();
}

/** Each creates a need that a careless look would miss, and returns the outcome of the cleanup. */
const INTERLEAVINGS: Record<keyof typeof WRONG_CLEANUPS, () => Promise<string>> = {
  async 'needs are looked up before the lock is taken'() {
    await publishPast(database, 5, [1]);
    await finishConsumer(database);
    const writer = await begin();
    await publishPast(writer, 5, [2]);
    const emptied = empty();
    await until('cleanup waits for the writer', async () => {
      const { rows } = await database.query(
        `select from pg_locks where not granted and relation = 'pgwatch.${day.name}'::regclass`,
      );
      return rows.length > 0;
    });
    await commit(writer);
    return emptied;
  },
  async 'only ids are compared, not snapshots'() {
    return late();
  },
  async 'transactions running in the snapshot are ignored'() {
    return late();
  },
  async 'transactions newer than the snapshot are ignored'() {
    const [lower, newer] = [await begin(), await begin()];
    await lower.query('select pg_current_xact_id()');
    await publishPast(newer, 5, ['late']);
    await publishPast(lower, 5, ['early']);
    await commit(lower);
    // The newest transaction is still running, so no snapshot lists it.
    await finishConsumer(database);
    await commit(newer);
    return empty();
  },
};

async function late(): Promise<string> {
  const [first, second] = [await begin(), await begin()];
  await publishPast(first, 5, ['late']);
  await publishPast(second, 5, ['early']);
  await commit(second);
  await finishConsumer(database);
  await commit(first);
  return empty();
}

describe.each(Object.entries(INTERLEAVINGS))(
  'the interleaving that is fatal if %s:',
  (name, interleave) => {
    test('is harmless for the real cleanup', async () => {
      expect(await interleave()).toBe('pinned');
      await finishConsumer(database);
      expect(await empty()).toBe('emptied');
    });

    test('loses a notification in a cleanup that does so', async () => {
      await database.query(WRONG_CLEANUPS[name as keyof typeof WRONG_CLEANUPS]);
      try {
        expect(await interleave()).toBe('emptied');
      } finally {
        for (const text of RIGHT_CLEANUP) await database.query(text);
      }
    });
  },
);

test('cleanup waits for a replay that is being recorded, and keeps its notifications', async () => {
  const [id] = await publishPast(database, 5, ['again']);
  await finishConsumer(database);
  const replay = await begin();
  const stretch = {
    consumerId: 'email',
    since: null,
    until: null,
    channel: null,
    key: null,
    ids: null,
  };
  expect((await fileReplay(replay, 'pgwatch', { stretch, speed: null, max: 10 })).filed).toBe(1);
  const client = await database.connect();
  const whole = { partition: day.name, before: day.ends, counted: null };
  const part = { ...whole, afterId: '0', upTo: String(id) };
  expect(await attempt(() => emptyPartition(client, 'pgwatch', whole))).toBe('locked');
  expect(await attempt(() => deleteBatch(client, 'pgwatch', part))).toBe('locked');
  await commit(replay);
  expect(await emptyPartition(client, 'pgwatch', whole)).toBe('pinned');
  expect(await deleteBatch(client, 'pgwatch', part)).toMatchObject({ removed: 0, pinned: 1 });
  await database.query(`update pgwatch.delivery set notification = '{}'`);
  expect(await deleteBatch(client, 'pgwatch', part)).toMatchObject({ removed: 1, pinned: 0 });
  await client.end();
});

test('cleanup waits for a seek back, and keeps its notifications', async () => {
  await publishPast(database, 5, ['again']);
  await finishConsumer(database);
  const seek = await begin();
  const back = { consumerId: 'email', to: 'start', seenEpoch: 0, mode: 'idle' } as const;
  expect(await seekPosition(seek, 'pgwatch', back)).toMatchObject({ doneId: 0 });
  const client = await database.connect();
  const target = { partition: day.name, before: day.ends, counted: null };
  expect(await attempt(() => emptyPartition(client, 'pgwatch', target))).toBe('locked');
  await commit(seek);
  expect(await emptyPartition(client, 'pgwatch', target)).toBe('pinned');
  await client.end();
});

test('after a seek back, late commits before the position are still kept', async () => {
  const writer = await begin();
  await publishPast(writer, 5, ['late']);
  await publishPast(database, 5, ['early']);
  await database.query(`select smart_notify('c'), smart_notify('c')`);
  await finishConsumer(database);
  await commit(writer);
  const client = await database.connect();
  const back = { consumerId: 'email', to: { by: -1 }, seenEpoch: 0, mode: 'idle' } as const;
  await seekPosition(client, 'pgwatch', back);
  await client.end();
  expect(await empty()).toBe('pinned');
});

test('a position has a whole window or none', async () => {
  await finishConsumer(database);
  const half = database.query('update pgwatch.consumer_progress set window_id = 1');
  await expect(half).rejects.toMatchObject({ code: '23514' });
});

test('a leased notification is kept until its lease is gone', async () => {
  const [id] = await publishPast(database, 5, ['leased']);
  await finishConsumer(database);
  await database.query(
    `insert into pgwatch.lease (consumer_id, notification_ids, kind)
     values ('email', array[$1::bigint], 'page')`,
    [id],
  );
  expect(await empty()).toBe('pinned');
  await database.query('truncate pgwatch.lease');
  expect(await empty()).toBe('emptied');
});

test('a consumer needs nothing from channels that are not its own', async () => {
  await finishConsumer(database);
  await publishPast(database, 5, ['unread']);
  expect(await empty()).toBe('pinned');
  await database.query(`update pgwatch.consumer_progress set channels = array['other']`);
  expect(await empty()).toBe('emptied');
});

test('a partly read window needs the rest of it', async () => {
  const ids = await publishPast(database, 5, [1, 2, 3]);
  await finishConsumer(database);
  const set = (at: number | undefined) =>
    database.query(
      `update pgwatch.consumer_progress set done_id = 0, done_snapshot = '1:1:',
         window_snapshot = pg_current_snapshot(), window_end = $1, window_id = $2`,
      [ids[2], at],
    );
  await set(ids[1]);
  expect(await empty()).toBe('pinned');
  await set(ids[2]);
  expect(await empty()).toBe('emptied');
});

test('cleanup waits for a prepared transaction', async () => {
  const writer = await begin();
  await publishPast(writer, 5, ['prepared']);
  await writer.query(`prepare transaction 'p'`);
  const client = await database.connect();
  const target = { partition: day.name, before: day.ends, counted: null };
  await finishConsumer(database);
  expect(await attempt(() => emptyPartition(client, 'pgwatch', target))).toBe('locked');
  await writer.query(`commit prepared 'p'`);
  expect(await emptyPartition(client, 'pgwatch', target)).toBe('pinned');
});

test('cleanup refuses a snapshot that is older than its lock', async () => {
  const client = await database.connect();
  await client.query('begin isolation level repeatable read');
  const target = { partition: day.name, before: day.ends, counted: null };
  const refused = await emptyPartition(client, 'pgwatch', target).catch(errorCodeOf);
  expect(refused).toBe('PW005');
});

test('neither the current partition nor a future one is removed, whatever the time', async () => {
  const client = await database.connect();
  const { rows } = await database.query(
    `select name from pgwatch.log_partitions() where ends > now()`,
  );
  expect(rows.length).toBeGreaterThan(2);
  for (const { name } of rows) {
    const target = { partition: name, before: new Date('2100-01-01'), counted: null };
    expect(await emptyPartition(client, 'pgwatch', target)).toBe('gone');
  }
});
