import { EventEmitter } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createPgwatch,
  defineConsumer,
  type Notification,
  type Pgwatch,
  type PgwatchOptions,
} from '../../src/index.ts';
import { runCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { useService } from '../helpers/service.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { open, told, warned } = useService(database, { pollInterval: '50ms' });

/** Nothing listens there. */
const UNREACHABLE = 'postgres://127.0.0.1:1/nowhere';

function openPool(max = 4): Pool {
  const pool = new Pool({ connectionString: database.url, max });
  onTestFinished(() => pool.end());
  return pool;
}

/** A consumer that records what it receives. */
function recorder(id: string, channel = 'orders') {
  const received: Notification[] = [];
  const consumer = defineConsumer({
    id,
    channels: [channel],
    handle: (notification) => received.push(notification),
  });
  return { consumer, received };
}

describe('a program', () => {
  test('publishes, and runs consumers that receive it', async () => {
    const pgwatch = open();
    const { consumer, received } = recorder('email');
    // Of another type, to see that they compile in one list.
    const other = defineConsumer<{ number: number }>({
      id: 'other',
      channels: ['others'],
      handle: ({ payload }) => payload.number.toFixed(),
    });
    const id = await pgwatch.notify('orders', { number: 1 }, { key: 'a' });
    const listening = await pgwatch.listen([consumer, other]);
    await listening.caughtUp();
    const more = await pgwatch.notifyMany([{ channel: 'orders', payload: { number: 2 } }]);
    await listening.caughtUp('email');
    expect(received.map((each) => each.id)).toEqual([id, ...more]);
    await listening.stop();
    await pgwatch.notify('orders', { number: 3 });
    await (await pgwatch.listen([consumer], { once: true })).done;
    expect(received.map(({ payload }) => payload)).toEqual([1, 2, 3].map((number) => ({ number })));
  });

  test('publishes in its own transaction', async () => {
    const pgwatch = open();
    const { consumer, received } = recorder('email');
    const client = await database.connect();
    await client.query('begin');
    await pgwatch.notify('orders', 'rolled back', { client });
    await client.query('rollback; begin');
    await pgwatch.notifyMany([{ channel: 'orders', payload: 'committed' }], { client });
    await client.query('commit');
    await (await pgwatch.listen([consumer], { once: true })).done;
    expect(received.map(({ payload }) => payload)).toEqual(['committed']);
  });

  test('knows when its consumers receive what is published', async () => {
    const pgwatch = open();
    const first = recorder('first');
    const listening = await pgwatch.listen([{ ...first.consumer, from: 'now' }]);
    await listening.ready();
    const loop = pgwatch.subscribe({ consumer: 'loop', channels: ['orders'], from: 'now' });
    await loop.ready();
    await pgwatch.notify('orders', 1);
    await listening.caughtUp();
    expect(first.received).toHaveLength(1);
    expect((await loop.next()).value).toMatchObject({ payload: 1 });
    await loop.return();
    await expect(loop.ready()).rejects.toMatchObject({ code: 'closed' });
    const nowhere = open({ schema: 'nowhere' });
    const failing = await nowhere.listen([first.consumer]);
    await expect(failing.ready()).rejects.toMatchObject({ code: 'schema_missing' });
    const waiting = await open({ url: UNREACHABLE }).listen([first.consumer]);
    await waiting.stop();
    await expect(waiting.ready()).rejects.toMatchObject({ code: 'closed' });
  });

  test('stops when its signal aborts, and when it is closed', async () => {
    const pgwatch = open();
    const stop = new AbortController();
    const first = await pgwatch.listen([recorder('first').consumer], { signal: stop.signal });
    const second = await pgwatch.listen([recorder('second').consumer]);
    await first.caughtUp();
    stop.abort();
    await first.done;
    await second.caughtUp();
    await pgwatch.close();
    await second.done;
    await expect(second.caughtUp()).rejects.toMatchObject({ code: 'closed' });
    await expect(pgwatch.notify('orders', 1)).rejects.toMatchObject({ code: 'closed' });
    await expect(pgwatch.listen([])).rejects.toMatchObject({ code: 'closed' });
  });

  test('can publish from its handlers until they have ended', async () => {
    const pgwatch = open();
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const consumer = defineConsumer({
      id: 'email',
      channels: ['orders'],
      async handle() {
        started.resolve();
        await goOn.promise;
        await pgwatch.notify('sent', 1);
      },
    });
    const id = await pgwatch.notify('orders', 1);
    await pgwatch.listen([consumer]);
    await started.promise;
    const closing = pgwatch.close();
    await expect(pgwatch.listen([recorder('other').consumer])).rejects.toMatchObject({
      code: 'closed',
    });
    goOn.resolve();
    await closing;
    await pgwatch.close();
    const { consumers } = await open().why(id, 'email');
    expect(consumers).toMatchObject([{ isArrived: true }]);
    await expect(pgwatch.notify('orders', 1)).rejects.toMatchObject({ code: 'closed' });
  });

  test('runs a consumer once at a time', async () => {
    const pgwatch = open();
    const { consumer } = recorder('email');
    const listening = await pgwatch.listen([consumer]);
    await expect(pgwatch.listen([consumer])).rejects.toMatchObject({
      code: 'consumer_running',
      message: expect.stringContaining('email already runs here'),
    });
    await listening.stop();
    await (await pgwatch.listen([consumer])).stop();
  });

  test('leaves a consumer to another one until that stops', async () => {
    const mine = recorder('email');
    const other = recorder('email');
    const first = await open().listen([mine.consumer]);
    await first.caughtUp();
    const pgwatch = open();
    const second = await pgwatch.listen([other.consumer]);
    await pgwatch.notify('orders', 1);
    await second.caughtUp();
    expect([mine.received.length, other.received.length]).toEqual([1, 0]);
    await first.stop();
    await pgwatch.notify('orders', 2);
    await second.caughtUp();
    expect([mine.received.length, other.received.length]).toEqual([1, 1]);
  });

  test('is not told that a consumer that it runs may be a new one under another name', async () => {
    await (await open().listen([recorder('first').consumer], { once: true })).done;
    const pgwatch = open();
    // Until then, the database does not know that the first one runs.
    const client = await database.connect();
    await client.query('begin; lock table pgwatch.daemon in share mode');
    await pgwatch.listen([recorder('first').consumer]);
    const listening = await pgwatch.listen([recorder('second').consumer]);
    await until('it is new', () => told.some((line) => line.includes('second is new')));
    await client.query('commit');
    await listening.caughtUp();
    expect(warned()).toEqual([]);
    await pgwatch.close();
    await (await open().listen([recorder('third').consumer], { once: true })).done;
    expect(told.join('\n')).toContain(
      'warn: third is new. first and second read the same channels and are not running.',
    );
  });

  test('is told why its consumers end, and goes on', async () => {
    const pgwatch = open({ url: database.url, schema: 'nowhere' });
    const listening = await pgwatch.listen([recorder('email').consumer]);
    await expect(listening.done).rejects.toMatchObject({ code: 'schema_missing' });
    await listening.stop();
    expect(told.join('\n')).toContain('error: email ended: ');
    await expect(listening.caughtUp()).rejects.toMatchObject({ code: 'schema_missing' });
  });
});

describe('with a pool of its own', () => {
  test('a program publishes through it, and handlers use it', async () => {
    const pool = openPool();
    const pgwatch = open({ pool });
    await database.query('create table if not exists effect (pid int)');
    const listening = await pgwatch.listen([
      defineConsumer({
        id: 'email',
        channels: ['orders'],
        handle: (_, { db }) => db.query('insert into effect select pg_backend_pid()'),
      }),
    ]);
    await pgwatch.notify('orders', 1);
    await listening.caughtUp();
    const effects = await database.query('select pid from effect');
    const own = await pool.query('select pg_backend_pid() as pid');
    expect(effects.rows).toEqual(own.rows);
    await pgwatch.close();
    expect(pool.ended).toBe(false);
    await pool.query('select');
  });

  test.each([
    ['one connection', () => openPool(1), 'at least 2 connections'],
    ['an old pg', () => new Pool({ Client: OldClient as never }), 'of pg 8.23 or newer'],
    ['another object', () => ({ query() {} }) as unknown as Pool, 'a Pool of the package pg'],
  ])('refuses %s', (_, make, reason) => {
    expect(() => createPgwatch({ pool: make() })).toThrow(reason);
  });

  test('refuses one that has been ended', async () => {
    const pool = new Pool({ connectionString: database.url });
    await pool.end();
    expect(() => createPgwatch({ pool })).toThrow('pool has been ended');
  });

  test('refuses a url beside it', () => {
    expect(() => createPgwatch({ pool: openPool(), url: database.url })).toThrow(
      'url cannot be combined with pool',
    );
  });
});

/** As of a pg that does not tell whether a transaction is open. */
class OldClient extends EventEmitter {}

describe('options', () => {
  test.each<[string, unknown, string]>([
    ['an unknown one', { pollIntervall: '1s' }, 'Did you mean "pollInterval"?'],
    ['one for programs', { pol: 1 }, 'Did you mean "pool"?'],
    ['a wrong value', { poolSize: 1 }, 'poolSize must be'],
    ['a reporter without functions', { reporter: { info() {} } }, 'has no debug'],
    ['a config file', { config: 3 }, 'config must be true, false or the path'],
    ['nothing that has options', 'postgres://db/app', 'an object of options'],
  ])('%s', (_, options, reason) => {
    expect(() => createPgwatch(options as PgwatchOptions)).toThrow(reason);
  });

  test('of a config file count only if it is asked for', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'pgwatch-')), 'pgwatch.config.json');
    writeFileSync(file, JSON.stringify({ url: database.url, schema: 'nowhere' }));
    const asked = open({ config: file });
    expect((await asked.migrationStatus()).map(({ state }) => state)).toContain('pending');
    const states = (await open().migrationStatus()).map(({ state }) => state);
    expect([...new Set(states)]).toEqual(['applied']);
    expect(await open().migrate()).toEqual([]);
  });
});

test('refuses consumers that are not defined well', async () => {
  const pgwatch = open();
  const listen = (...given: unknown[]) => pgwatch.listen(given as never);
  const { consumer } = recorder('email');
  await expect(listen(consumer, consumer)).rejects.toThrow('Two consumers have the id "email"');
  await expect(listen({ ...consumer, id: undefined })).rejects.toThrow('Consumer 1: it has no id');
  await expect(listen({ ...consumer, retries: 3 })).rejects.toThrow('unknown option "retries"');
  expect(told).toEqual([]);
});

test.each<[string, (pgwatch: Pgwatch) => unknown, string]>([
  ['listen() to a single consumer', (on) => on.listen({ id: 'a' } as never), 'a list of consumers'],
  ['listen() to a path', (on) => on.listen('consumers' as never), "or { folder: 'consumers' }"],
  ['a folder that is none', (on) => on.listen({ folder: 3 } as never), 'the path of a folder'],
  ['an option of listen()', (on) => on.listen([], { onc: true } as never), 'mean "once"?'],
  ['an option of notify()', (on) => on.notify('a', 1, { cilent: 1 } as never), 'mean "client"?'],
  ['an option of notifyMany()', (on) => on.notifyMany([], { key: 'a' } as never), 'are: client.'],
  ['no list of notifications', (on) => on.notifyMany('a' as never), 'takes an array, not string'],
  ['no options of listen()', (on) => on.listen([], 'once' as never), 'an object of options'],
  ['no options of subscribe()', (on) => on.subscribe('a' as never), 'an object of options'],
])('refuses %s', async (_, call, message) => {
  await expect((async () => call(open()))()).rejects.toMatchObject({
    code: 'input_invalid',
    message: expect.stringContaining(message),
  });
});

describe('what the commands print with --json', () => {
  const json = async (...args: string[]) =>
    JSON.parse((await runCli([...args, '--json'], { env: { DATABASE_URL: database.url } })).stdout);
  const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));

  test('status and why return', async () => {
    const pgwatch = open();
    const id = await pgwatch.notify('orders', 1);
    await (await pgwatch.listen([recorder('email').consumer], { once: true })).done;
    const { at: _, ...status } = asJson(await pgwatch.status());
    expect(await json('status')).toMatchObject(status);
    expect(status.consumers).toMatchObject([{ consumerId: 'email', unread: 0 }]);
    expect(asJson(await pgwatch.why(id))).toEqual(await json('why', String(id)));
    expect((await pgwatch.why(id, 'email')).consumers).toMatchObject([{ isArrived: true }]);
    await expect(pgwatch.status(['mail'])).rejects.toThrow('Did you mean "email"?');
  });

  test('pause and resume do', async () => {
    const pgwatch = open();
    await (await pgwatch.listen([recorder('email').consumer], { once: true })).done;
    const { pausedAt, pausedUntil } = await pgwatch.pause('email', 60_000);
    expect(pausedUntil?.getTime()).toBeGreaterThan(pausedAt.getTime());
    expect((await json('status')).consumers).toMatchObject([{ state: 'paused' }]);
    expect([await pgwatch.resume('email'), await pgwatch.resume('email')]).toEqual([true, false]);
    await expect(pgwatch.pause('email', new Date(0))).rejects.toMatchObject({
      code: 'input_invalid',
    });
    await expect(pgwatch.pause('mail')).rejects.toMatchObject({ code: 'consumer_unknown' });
  });
});
