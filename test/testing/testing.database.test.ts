import assert from 'node:assert/strict';
import { Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import {
  DeadLetter,
  defineChannels,
  defineConsumer,
  notify,
  notifyMany,
  notifyQuery,
  RetryAfter,
} from '../../src/index.ts';
import {
  fakeContext,
  fakeNotification,
  TestPgwatch,
  type TestPgwatchOptions,
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

async function testSchemas(): Promise<string[]> {
  const { rows } = await database.query(
    `select nspname from pg_namespace where nspname like 'pgwatch_test_%' order by 1`,
  );
  return rows.map(({ nspname }) => nspname);
}

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
    expect(dead).toMatchObject([
      { attempts: 3, error: 'never', notification: { payload: 'poison' } },
      { attempts: 1, error: 'no address', notification: { payload: 'hopeless' } },
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

  test('tells only of dead letters that are new', async () => {
    const consumer = defineConsumer<string>({
      id: 'email',
      channels: ['orders'],
      handle({ payload }) {
        throw new DeadLetter(payload);
      },
    });
    const died = async (...payloads: unknown[]) =>
      (await own.drain(consumer, of(...payloads))).dead.map(({ error }) => error);
    expect(await died('a')).toEqual(['a']);
    expect(await died('b', 'c')).toEqual(['b', 'c']);
    await own.pgwatch.deadLetters.retry({ consumers: ['email'], error: 'b' });
    expect(await died('d')).toEqual(['b', 'd']);
  });

  test.each(['now', 1_000_000, new Date()])(
    'hands over what it is given, from %s',
    async (from) => {
      const consumer = defineConsumer({ id: 'new', channels: ['orders'], from, handle() {} });
      const { handled } = await own.drain(consumer, of(1));
      expect(handled).toMatchObject([{ payload: 1, attempt: 1 }]);
    },
  );

  test('calls the hooks of the options, too', async () => {
    const called: string[] = [];
    await using hooked = await TestPgwatch.open({
      url: database.url,
      async around(call) {
        called.push('before');
        await call().catch(() => called.push('failed'));
      },
      onDead: ({ error }) => called.push(error.message),
    });
    const consumer = defineConsumer({
      id: 'email',
      channels: ['orders'],
      handle() {
        throw new DeadLetter('hopeless');
      },
    });
    const { handled, dead } = await hooked.drain(consumer, of(1));
    expect(called).toEqual(['before', 'failed', 'hopeless']);
    expect([handled.length, dead.length]).toEqual([0, 1]);
  });

  test('tells what a schema has refused, and what it returned', async () => {
    const consumer = defineConsumer({
      id: 'email',
      channels: ['orders'],
      schema: z.object({ day: z.coerce.date() }),
      handle() {},
    });
    const { handled, dead } = await own.drain(consumer, of({ day: '2026-11-30' }, { day: 'x' }));
    expect(handled.map(({ payload }) => payload.day.getTime())).toEqual([Date.UTC(2026, 10, 30)]);
    expect(dead.map(({ error }) => error)).toEqual([
      'the payload does not match the schema: day: Invalid input: expected date, received Date',
    ]);
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
  await notify(client, 'orders', { id: 1 }, { key: 'order:1' });
  expect(await own.published()).toEqual([]);
  await client.query('commit');
  const { Client } = await import('pg');
  const other = new Client({ connectionString: own.url });
  await other.connect();
  await other.query(`select smart_notify('mails', '2')`);
  await other.end();
  const published = await own.published();
  expect(published).toEqual([
    {
      id: 1,
      eventId: expect.stringMatching(/^[\da-f-]{36}$/),
      channel: 'orders',
      key: 'order:1',
      payload: { id: 1 },
      change: null,
      createdAt: expect.any(Date),
      isReplay: false,
      attempt: 1,
    },
    expect.objectContaining({ channel: 'mails', key: null, payload: 2 }),
  ]);
  // Also for those who do not read what a prototype has.
  assert.partialDeepStrictEqual(published, [{ payload: { id: 1 } }, { payload: 2 }]);
  expect(await own.published('ord*')).toHaveLength(1);
});

describe('notify() and the like, without a schema,', () => {
  test('publish for the test, also in handlers', async () => {
    const relay = defineConsumer({
      id: 'relay',
      channels: ['orders'],
      transaction: true,
      handle: ({ payload }, { db }) => notify(db, 'mails', payload),
    });
    await notifyMany(database.pool, of(1));
    await defineChannels({ orders: null }).notify(database.pool, 'orders', 2);
    const { text, values } = notifyQuery('orders', 3);
    await database.query(text, values);
    await own.drain(relay);
    expect(await own.published('mails')).toMatchObject([1, 2, 3].map((payload) => ({ payload })));
  });

  test('publish for none of several tests that are open, but refuse', async () => {
    await using other = await TestPgwatch.open({ url: database.url });
    await expect(notify(database.pool, 'orders', 1)).rejects.toMatchObject({
      code: 'input_invalid',
      message: expect.stringMatching(/^2 TestPgwatch are open in this process, so it is not known/),
    });
    const { apiSchema } = own.options;
    await notify(database.pool, 'orders', 2, { apiSchema });
    await other.pgwatch.notify('orders', 3);
    await other.close();
    await notify(database.pool, 'orders', 4);
    expect((await own.published()).map(({ payload }) => payload)).toEqual([2, 4]);
  });

  test('publish to public if no test is open', async () => {
    await own.close();
    expect(await notify(database.pool, 'usual', 1)).toBeGreaterThan(0);
    const text = `select from pgwatch.notification_log where channel = 'usual'`;
    expect((await database.query(text)).rowCount).toBe(1);
    await database.query('truncate pgwatch.notification_log');
  });
});

describe('open()', () => {
  const invalid: [TestPgwatchOptions & Record<string, unknown>, string][] = [
    [{ url: '' }, 'url must be a URL like postgres'],
    [
      { schema: 'a' },
      'schema is not an option of TestPgwatch.open(), which has a schema of its own.',
    ],
    [{ apiSchema: 'a' }, 'apiSchema is not an option of TestPgwatch.open()'],
    [{ uri: 'a' }, 'uri is not an option of createPgwatch(). Did you mean "url"?'],
    [{}, 'TestPgwatch.open() requires url, or DATABASE_URL.'],
  ];
  test.each(invalid)('refuses %o', async (options, message) => {
    vi.stubEnv('DATABASE_URL', '');
    await expect(TestPgwatch.open(options)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(message),
    });
  });

  test('takes the database of DATABASE_URL', async () => {
    vi.stubEnv('DATABASE_URL', database.url);
    await using other = await TestPgwatch.open();
    await other.pgwatch.notify('orders', 1);
    expect(await other.published()).toHaveLength(1);
  });

  test('leaves nothing if it fails', async () => {
    await database.query(`
      create function refuse() returns event_trigger language plpgsql
        as $$ begin raise exception 'no tables today'; end $$;
      create event trigger refuse on ddl_command_start when tag in ('CREATE TABLE')
        execute function refuse()`);
    await expect(TestPgwatch.open({ url: database.url })).rejects.toThrow('no tables today');
    await database.query('drop event trigger refuse; drop function refuse()');
    expect(await testSchemas()).toEqual([own.options.schema, own.options.apiSchema]);
    // Nor does it count as open.
    expect(await notify(database.pool, 'orders', 1)).toBe(1);
  });
});

test('tables that are created over url belong to the test', async () => {
  const pool = new Pool({ connectionString: own.url });
  await pool.query('create table invoice (id int)');
  const consumer = defineConsumer<number>({
    id: 'invoice',
    channels: ['orders'],
    handle: ({ payload }, { db }) => db.query('insert into invoice values ($1)', [payload]),
  });
  await own.drain(consumer, of(1, 2));
  expect((await pool.query('select id from invoice order by id')).rows).toEqual([
    { id: 1 },
    { id: 2 },
  ]);
  await pool.end();
  await own.close();
  const { rows } = await database.query(`select to_regclass('invoice') as found`);
  expect(rows).toEqual([{ found: null }]);
});

test('close() says which transaction is in the way', async () => {
  const client = await database.connect();
  await client.query('begin');
  await notify(client, 'orders', 1);
  await expect(own.close()).rejects.toMatchObject({
    code: 'table_locked',
    message: expect.stringMatching(
      /^Nothing was changed, because schema pgwatch_test_\w+ was in use .* is idle in transaction/,
    ),
  });
  await client.query('rollback');
});

test('two of them see nothing of each other, and leave nothing', async () => {
  const other = await TestPgwatch.open({ url: database.url });
  await own.pgwatch.notify('orders', 1);
  expect(await other.published()).toEqual([]);
  await other.close();
  expect(await testSchemas()).toEqual([own.options.schema, own.options.apiSchema]);
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
  await expect(waitFor(never, { timeout: 'soon' as never })).rejects.toMatchObject({
    code: 'input_invalid',
    message: expect.stringContaining("waitFor(): timeout must be a duration like '5s'"),
  });
});

test('testDatabase() is a server of its own', async () => {
  await expect(testDatabase({ setings: {} } as never)).rejects.toMatchObject({
    code: 'input_invalid',
    message:
      'setings is not an option of testDatabase(). Did you mean "settings"? Options are: settings.',
  });
  await using server = await testDatabase();
  await using inside = await TestPgwatch.open({ url: server.url });
  await inside.pgwatch.notify('orders', 1);
  expect(await inside.published('orders')).toHaveLength(1);
}, 60_000);
