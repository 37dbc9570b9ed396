import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { Pool, type PoolOptions } from '../../src/database/pool.ts';
import { readServing } from '../../src/database/pooler.ts';
import { useDatabase } from '../helpers/database.ts';
import { startProxy } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';
import { size } from '../helpers/whole.ts';

const database = useDatabase();
const pools: Pool[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close(0)));
});

function makePool(options: Partial<PoolOptions> = {}): Pool {
  const pool = new Pool({ url: database.url, size: 2, applicationName: 'pooled', ...options });
  pools.push(pool);
  return pool;
}

/** Borrows a client until the returned function is called. */
async function hold(pool: Pool): Promise<() => void> {
  const [borrowed, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  void pool.withClient(async () => {
    borrowed.resolve();
    await release.promise;
  });
  await borrowed.promise;
  return release.resolve;
}

/** The number of connections that the server has from the pools. */
async function count(condition = 'true'): Promise<number> {
  const { rows } = await database.query(
    `select count(*)::int from pg_stat_activity
     where application_name = 'pooled' and ${condition}`,
  );
  return rows[0].count;
}

test('a query waits for a busy pool, however long it takes', async () => {
  const pool = makePool({ size: 1 });
  const release = await hold(pool);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const waiting = pool.query('select 1 as one');
  await vi.advanceTimersByTimeAsync(3_600_000);
  release();
  expect((await waiting).rows).toEqual([{ one: 1 }]);
});

test('a server that accepts and stays silent is abandoned after ten seconds', async () => {
  const mute = createServer((socket) => void socket.on('error', () => {}).resume());
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  onTestFinished(() => void mute.close());
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { port } = mute.address() as AddressInfo;
  const pool = makePool({ url: `postgres://me@127.0.0.1:${port}/db` });
  const asking = pool.query('select 1');
  const failed = expect(asking).rejects.toThrow(/^Cannot connect to 127\.0\.0\.1:\d+, .*timeout/);
  await once(mute, 'connection');
  await vi.advanceTimersByTimeAsync(10_000);
  await failed;
});

test.each(['shut', 'close'] as const)(
  '%s() rejects waiting queries, although another client is never returned',
  async (end) => {
    const pool = makePool({ size: 1 });
    await hold(pool);
    const waiting = [1, 2, 3].map(() => pool.query('select 1'));
    const failed = waiting.map((each) => expect(each).rejects.toThrow(': the pool is shut.'));
    if (end === 'shut') pool.shut();
    await pool.close(0);
    pools.pop();
    await Promise.all(failed);
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'connection_failed' });
    await until('nothing is connected', async () => (await count()) === 0);
  },
);

const FLAPS = size(100, 20);

test('flapping connections never exceed the pool size, and no error escapes', async () => {
  const errors: Error[] = [];
  const pool = makePool({ size: 4, onError: (error) => errors.push(error) });
  const killer = await database.connect();
  let [lost, most] = [0, 0];
  for (let flap = 0; flap < FLAPS; flap++) {
    // Killed in turn while they work and while they are idle.
    const isIdle = flap % 2 === 1;
    const asking = [1, 2, 3, 4].map(() =>
      pool.query('select pg_sleep($1)', [isIdle ? 0 : 60]).catch(() => {
        lost += 1;
      }),
    );
    if (isIdle) await Promise.all(asking);
    else await until('all work', async () => (await count(`wait_event = 'PgSleep'`)) === 4);
    const { rows: killed } = await killer.query(
      `select pid, pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'pooled'`,
    );
    most = Math.max(most, killed.length);
    await Promise.all(asking);
    // The server still counts a connection that is closing.
    await until('the killed connections are gone', async () => {
      const pids = killed.map(({ pid }) => pid);
      const there = 'select from pg_stat_activity where pid = any($1::int[])';
      return (await killer.query(there, [pids])).rowCount === 0 && pool.pool.totalCount === 0;
    });
  }
  console.log(`${FLAPS} flaps: ${lost} queries lost, ${errors.length} errors, at most ${most}`);
  expect(most).toBe(4);
  expect(lost).toBe(2 * FLAPS);
  expect(errors.length).toBeGreaterThan(2 * FLAPS);
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(await count()).toBeLessThanOrEqual(4);
}, 60_000);

test('a connection to a read-only server is dropped, one with a query error kept', async () => {
  const pool = makePool({ size: 1 });
  const pid = async () =>
    (await pool.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
  const first = await pid();
  await expect(pool.query('select 1 / 0')).rejects.toMatchObject({ code: '22012' });
  expect(await pid()).toBe(first);
  const writing = pool.withClient(async (client) => {
    await client.query('begin read only');
    await client.query('create table of_nothing ()');
  });
  await expect(writing).rejects.toMatchObject({ code: '25006' });
  expect(await pid()).not.toBe(first);
});

test('waiting on a lost connection does not keep the process alive', async () => {
  const pool = new Pool({ url: database.url, size: 1, deadlineMs: 3_600_000 });
  const client = await pool.pool.connect();
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  void pool.guard(client, new Promise(() => {}));
  expect(timers()).toBe(before);
  client.release(true);
  await pool.close();
});

test('close() leaves no connection open on a network that swallows its goodbye', async () => {
  const proxy = await startProxy(database.url);
  onTestFinished(() => proxy.close());
  const pool = new Pool({ url: proxy.url, size: 1 });
  const sockets: Socket[] = [];
  pool.pool.on('connect', (client) => {
    sockets.push((client as unknown as { connection: { stream: Socket } }).connection.stream);
  });
  await pool.query('select 1');
  proxy.blackhole();
  await pool.close(50);
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true]);
});

test('connections to another place are refused, and replaced after a failover', async () => {
  let place: string | null = null;
  const pool = makePool({ place: () => place });
  const pid = () => pool.query('select pg_backend_pid() as pid').then(({ rows }) => rows[0]?.pid);
  const right = await pool.withClient(async (client) => (await readServing(client)).place);
  const first = await pid();
  place = right;
  expect(await pid()).toBe(first);
  place = 'elsewhere';
  for (const refused of [() => pool.query('select 1'), () => pool.keep()]) {
    await expect(refused()).rejects.toMatchObject({ code: 'server_unsuitable' });
  }
  place = right;
  expect(await pid()).not.toBe(first);
  expect(pool.lossesWithin(1000)).toBe(0);
});
