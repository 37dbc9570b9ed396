import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeadLetter, defineConsumer, notify, RetryAfter } from '../../src/index.ts';
import {
  fakeContext,
  fakeNotification,
  TestPgwatch,
  testDatabase,
  waitFor,
} from '../../src/testing.ts';
import { useDatabase } from '../helpers/database.ts';

/** Goal: people can test what they publish and what they consume, fast and side by side. */

const database = useDatabase();
let own: TestPgwatch;

beforeEach(async () => {
  own = await TestPgwatch.open({ url: database.url });
});
afterEach(() => own.close());

const of = (...payloads: unknown[]) => payloads.map((payload) => ({ channel: 'orders', payload }));

describe('drain', () => {
  test('runs a consumer over what is given, and tells what became of it', async () => {
    const consumer = defineConsumer<string>({
      id: 'email',
      channels: ['orders'],
      retry: { attempts: 3, backoff: '1h' },
      handle({ payload, attempt }) {
        if (payload === 'poison') throw new Error('never');
        if (payload === 'hopeless') throw new DeadLetter('no address');
        if (payload === 'shy' && attempt < 3) throw new Error('not yet');
      },
    });
    const { handled, failed, dead } = await own.drain(
      consumer,
      of('fine', 'shy', 'poison', 'hopeless'),
    );
    expect(handled.map(({ payload, attempt }) => [payload, attempt])).toEqual([
      ['fine', 1],
      ['shy', 3],
    ]);
    expect(
      failed.map(({ attempt, error, notification }) => [
        notification.payload,
        attempt,
        error.message,
      ]),
    ).toEqual([
      ['shy', 1, 'not yet'],
      ['poison', 1, 'never'],
      ['hopeless', 1, 'no address'],
      ['shy', 2, 'not yet'],
      ['poison', 2, 'never'],
      ['poison', 3, 'never'],
    ]);
    expect(dead.map(({ attempts, error }) => [attempts, error])).toEqual([
      [3, 'never'],
      [1, 'no address'],
    ]);
  });

  test('goes on where it was, and takes what the code under test has published', async () => {
    const handled: unknown[] = [];
    const consumer = defineConsumer({
      id: 'email',
      channels: ['orders'],
      handle: ({ payload }) => void handled.push(payload),
    });
    await own.drain(consumer, of(1));
    await own.pgwatch.notify('orders', 2);
    await own.drain(consumer);
    expect(handled).toEqual([1, 2]);
  });

  test('undoes what a failed attempt has written, and handles batches', async () => {
    await database.query('create table effect (text text)');
    const consumer = defineConsumer<string>({
      id: 'exact',
      channels: ['orders'],
      transaction: true,
      async handleBatch(notifications, { db, attempt }) {
        for (const { payload } of notifications) {
          await db.query('insert into effect values ($1)', [`${payload} ${attempt}`]);
        }
        return notifications.map(({ payload }) =>
          payload === 'b' && attempt === 1 ? new Error('again') : undefined,
        );
      },
    });
    const { handled, failed } = await own.drain(consumer, of('a', 'b', 'c'));
    const { rows } = await database.query('select text from effect order by text');
    await database.query('drop table effect');
    expect(handled.map(({ payload }) => payload)).toEqual(['a', 'c', 'b']);
    expect(failed.map(({ notification }) => notification.payload)).toEqual(['b']);
    expect(rows.map(({ text }) => text)).toContain('b 2');
  });

  test('does not run for ever', async () => {
    const consumer = defineConsumer({
      id: 'rude',
      channels: ['orders'],
      handle() {
        throw new RetryAfter('1h');
      },
    });
    await expect(own.drain(consumer, of(1))).rejects.toMatchObject({
      code: 'handler_failed',
      message: expect.stringMatching(/^rude still waits for retries after \d+ rounds/),
    });
  }, 60_000);

  test('tells what is wrong with a consumer', async () => {
    const consumer = { id: 'x', channels: [], handle() {} };
    await expect(own.drain(consumer)).rejects.toMatchObject({ code: 'consumer_invalid' });
  });
});

test('handlers can be called without a database', async () => {
  const consumer = defineConsumer<{ n: number }>({
    id: 'sum',
    channels: ['orders'],
    handle: ({ payload, key, attempt }, { consumerId }) => [payload.n, key, attempt, consumerId],
  });
  const notification = fakeNotification({ payload: { n: 1 }, key: 'a' });
  expect(consumer.handle(notification, fakeContext())).toEqual([1, 'a', 1, 'test']);
  expect(fakeNotification({ payload: 1 }).id).toBeGreaterThan(notification.id);
  expect(() => fakeContext().db).toThrow('This context has no db');
  const { db } = fakeContext({ db: 'mine' as never });
  expect(db).toBe('mine');
});

test('published() tells what code has published, with pg or with SQL alone', async () => {
  const client = await database.connect();
  await client.query('begin');
  await notify(client, 'orders', { id: 1 }, { key: 'order:1', apiSchema: own.options.apiSchema });
  expect(await own.published()).toEqual([]);
  await client.query('commit');
  const { Client } = await import('pg');
  const other = new Client({ connectionString: own.url });
  await other.connect();
  await other.query(`select smart_notify('mails', '2')`);
  await other.end();
  expect(
    (await own.published()).map(({ channel, payload, key }) => [channel, payload, key]),
  ).toEqual([
    ['orders', { id: 1 }, 'order:1'],
    ['mails', 2, null],
  ]);
  expect(await own.published('ord*')).toHaveLength(1);
});

test('two of them see nothing of each other, and leave nothing', async () => {
  const other = await TestPgwatch.open({ url: database.url });
  await own.pgwatch.notify('orders', 1);
  expect(await other.published()).toEqual([]);
  await other.close();
  const { rows } = await database.query('select nspname from pg_namespace where nspname like $1', [
    'pgwatch_test_%',
  ]);
  expect(rows.map(({ nspname }) => nspname).sort()).toEqual(
    [own.options.schema, own.options.apiSchema].sort(),
  );
});

test('skipWaits() lets the time of running retries pass', async () => {
  const seen: number[] = [];
  const consumer = defineConsumer({
    id: 'slow',
    channels: ['orders'],
    retry: { backoff: '1h' },
    handle({ attempt }) {
      seen.push(attempt);
      if (attempt === 1) throw new Error('later');
    },
  });
  await own.pgwatch.listen([consumer]);
  await own.pgwatch.notify('orders', 1);
  await waitFor(async () => (await own.skipWaits('slow')) === 1);
  await waitFor(() => seen.length === 2);
  expect(seen).toEqual([1, 2]);
});

test('waitFor() returns what it waited for, or says what it waited for', async () => {
  let looks = 0;
  expect(await waitFor(() => (looks++ > 2 ? 'there' : ''))).toBe('there');
  const never = () => {
    throw new Error('not there');
  };
  await expect(waitFor(never, { timeout: '50ms' })).rejects.toMatchObject({
    message: expect.stringMatching(/^waitFor\(\) gave up after 50 ms: /),
    cause: new Error('not there'),
  });
});

test('testDatabase() is a server of its own', async () => {
  await using server = await testDatabase();
  await using inside = await TestPgwatch.open({ url: server.url });
  await inside.pgwatch.notify('orders', 1);
  expect(await inside.published('orders')).toHaveLength(1);
}, 60_000);
