import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { pageReader, type ReadPage } from '../../src/log/page.ts';
import { collecting, runOnce, startDaemon, startTailing, useDaemons } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { filesOnly, handlersOnly } from '../helpers/doors/only.ts';
import { publish, publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { size, some } from '../helpers/whole.ts';

const partTest = filesOnly('it tests parts of the daemon');
const onceTest = handlersOnly('subscribe() has no once');

const database = useDatabase({ maxBatchSize: 100 });
const { tail, keep } = useDaemons(database);

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('missed notifications are replayed in order, then new ones are delivered', async () => {
  const { seen, notifications, definition } = collecting();
  await publishRange(database, 1, 250);
  await tail(definition);
  expect(seen).toEqual(numbers(1, 250));
  expect(notifications.every(({ isReplay, attempt }) => isReplay && attempt === 1)).toBe(true);

  await publish(database, 251);
  await until('the live one arrives', () => seen.length === 251);
  expect(notifications[250]).toMatchObject({
    payload: 251,
    isReplay: false,
    channel: 'c',
    key: null,
  });
});

test('a clean stop in the middle of a page delivers everything exactly once', async () => {
  const seen: unknown[] = [];
  await publishRange(database, 1, 95);
  const first = startDaemon(database.config, [
    {
      id: 'c',
      channels: ['c'],
      async handle({ payload }) {
        seen.push(payload);
        if (payload === 40) void first.stop();
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
  ]);
  await first.ended;
  expect(seen).toEqual(numbers(1, 40));
  const rest = collecting();
  await tail(rest.definition);
  expect(rest.seen).toEqual(numbers(41, 95));
});

test('a notification committed while an old window is processed is not a replay', async () => {
  const first = startDaemon({ ...database.config, maxBatchSize: 10 }, [
    { id: 'c', channels: ['c'], handle: ({ payload }) => void (payload === 15 && first.stop()) },
  ]);
  await first.transitions.for({ type: 'tail_joined' });
  await publishRange(database, 1, 40);
  await first.ended;
  const seen: Notification[] = [];
  const handle = async (notification: Notification) => {
    if (seen.push(notification) === 1) await publish(database, 41);
  };
  await tail({ id: 'c', channels: ['c'], handle });
  await until('the last arrives', () => seen.at(-1)?.payload === 41);
  expect(seen.map(({ payload }) => payload)).toEqual(numbers(16, 41));
  expect(seen.filter(({ isReplay }) => !isReplay).map(({ payload }) => payload)).toEqual([41]);
});

test.each(
  some([
    ['an object without a prototype', () => Object.create(null)],
    ['an error whose stack is not a string', () => Object.assign(new Error('x'), { stack: [] })],
  ]),
)('a handler that throws %s counts as failed', async (_, makeThrown) => {
  const { seen, definition } = collecting({ id: 'other' });
  const failing = {
    id: 'failing',
    channels: ['c'],
    handle: () => {
      throw makeThrown();
    },
  };
  const daemon = await tail(failing, definition);
  await publish(database, 1);
  await daemon.transitions.for({ type: 'handler_failed', consumerId: 'failing' });
  await publish(database, 2);
  await until('the other has both', () => seen.length === 2);
});

test('a handler that never returns blocks neither other consumers nor the shutdown', async () => {
  const { seen, definition } = collecting({ id: 'other' });
  const daemon = startDaemon({ ...database.config, shutdownTimeoutMs: 100 }, [
    { id: 'hanging', channels: ['c'], handle: () => new Promise(() => {}) },
    definition,
  ]);
  await daemon.transitions.for({ type: 'tail_joined', consumerId: 'other' });
  await publishRange(database, 1, 2);
  await until('the other has all', () => seen.length === 2);
  await daemon.stop();
  const again = collecting({ id: 'hanging' });
  await tail(again.definition);
  expect(again.seen).toEqual([1, 2]);
});

test('a slow consumer leaves the tail and returns without loss or a second delivery', async () => {
  const fast = collecting({ id: 'fast' });
  const slow: unknown[] = [];
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const daemon = keep(
    await startTailing({ ...database.config, maxBatchSize: 10 }, [
      fast.definition,
      {
        id: 'slow',
        channels: ['c'],
        async handle({ payload }) {
          slow.push(payload);
          if (payload === 1) await held;
        },
      },
    ]),
  );
  for (let n = 1; n <= 300; n += 3) await publishRange(database, n, n + 2);
  await until('the fast one has all', () => fast.seen.length === 300);
  expect(slow).toEqual([1]);
  release();
  await daemon.transitions.for({ type: 'tail_joined', consumerId: 'slow' }, 2);
  await publish(database, 301);
  await until('the slow one has all', () => slow.length === 301);
  expect(slow).toEqual(numbers(1, 301));
  expect(fast.seen).toEqual(numbers(1, 301));
});

test.each(some([10, 2]))(
  'replays of slow consumers do not delay the tail, with poolSize %i',
  async (poolSize) => {
    await publishRange(database, 1, 100);
    const release = Promise.withResolvers<void>();
    const slow = numbers(1, 8).map((n) => {
      return { id: `slow${n}`, channels: ['c'], handle: () => release.promise };
    });
    const { seen, definition } = collecting({ id: 'fast' });
    const config = { ...database.config, maxBatchSize: 10, poolSize };
    const startedAt = performance.now();
    const daemon = keep(startDaemon(config, [...slow, { ...definition, from: 'now' }]));
    await daemon.transitions.for({ type: 'tail_joined', consumerId: 'fast' });
    await publish(database, 101);
    await until('it arrives', () => seen.length === 1);
    // Less than the time for which a replay keeps its cursor open.
    expect(performance.now() - startedAt).toBeLessThan(2000);
    release.resolve();
    for (const { id } of slow) {
      await daemon.transitions.for({ type: 'tail_joined', consumerId: id });
    }
    expect(daemon.transitions.seen.map(({ type }) => type)).not.toContain('disconnected');
  },
);

test('handleBatch receives many notifications at once, in order', async () => {
  const batches: number[][] = [];
  await publishRange(database, 1, 25);
  const handleBatch = (notifications: Notification[]) => {
    batches.push(notifications.map(({ payload }) => payload as number));
  };
  const definition = { id: 'c', channels: ['c'], batchSize: 10, handleBatch };
  await tail(definition);
  expect(batches).toEqual([numbers(1, 10), numbers(11, 20), numbers(21, 25)]);
});

const PUBLISHED = size(100, 30);

partTest('the number of queries does not grow with the number of consumers', async () => {
  const measure = async (count: number) => {
    let reads = 0;
    const readPage: ReadPage = (client, request) => {
      reads += 1;
      return pageReader('pgwatch')(client, request);
    };
    const collectors = numbers(1, count).map((n) => collecting({ id: `c${n}` }));
    const daemon = startDaemon(
      database.config,
      collectors.map(({ definition }) => definition),
      { readPage },
    );
    await Promise.all(
      collectors.map(({ definition: { id } }) =>
        daemon.transitions.for({ type: 'tail_joined', consumerId: id }),
      ),
    );
    const saves = () =>
      daemon.transitions.seen.filter(({ type }) => type === 'position_saved').length;
    const before = { reads, saves: saves() };
    for (let n = 1; n <= PUBLISHED; n++) {
      await publish(database, n);
      await until('all have it', () => collectors.every(({ seen }) => seen.length >= n));
    }
    await daemon.stop();
    return { reads: reads - before.reads, saves: saves() - before.saves };
  };
  const one = await measure(1);
  await emptyLog(database);
  const twenty = await measure(20);
  console.log(
    `queries for ${PUBLISHED} notifications: 1 consumer ${JSON.stringify(one)}, ` +
      `20 consumers ${JSON.stringify(twenty)}`,
  );
  expect(twenty.saves).toBeLessThanOrEqual(one.saves * 1.5);
  expect(twenty.reads).toBeLessThanOrEqual(one.reads * 1.5);
});

test('a consumer of a rare channel moves past notifications of other channels', async () => {
  const { seen, definition } = collecting({ id: 'rare', channels: ['rare'] });
  await publishRange(database, 1, 2000, { channel: 'common' });
  await publish(database, 1, { channel: 'rare' });
  await tail(definition);
  expect(seen).toEqual([1]);
  await publishRange(database, 1, 1000, { channel: 'common' });
  await until('its position has moved', async () => {
    const { rows } = await database.query(
      `select done_id::int, (select max(id)::int from pgwatch.notification_log) as last
       from pgwatch.consumer_progress`,
    );
    return rows[0].last - rows[0].done_id < 64 || JSON.stringify(rows[0]);
  });
});

test('with skipPlayback missed notifications are never delivered', async () => {
  await publishRange(database, 1, 5);
  const { seen, definition } = collecting();
  const daemon = keep(startDaemon(database.config, [definition], { skipPlayback: true }));
  await daemon.transitions.for({ type: 'tail_joined' });
  await publish(database, 6);
  await until('the live one arrives', () => seen.length === 1);
  expect(seen).toEqual([6]);
});

onceTest('with skipPlayback a run with --once skips them for good', async () => {
  await publishRange(database, 1, 5);
  const { seen, definition } = collecting();
  for (const skipPlayback of [true, false]) {
    await runOnce(database.config, definition, { skipPlayback }).ended;
  }
  expect(seen).toEqual([]);
});

test('reading never aborts writers if all transactions are serializable', async () => {
  const name = new URL(database.url).pathname.slice(1);
  await database.query('create table account as select 1 as balance');
  await database.query(`alter database ${name} set default_transaction_isolation = 'serializable'`);
  const { seen, definition } = collecting();
  await tail(definition);
  const [first, second] = [await database.connect(), await database.connect()];
  await first.query('begin; select from account');
  await first.query(`select smart_notify('c', '1')`);
  await second.query('begin; update account set balance = 2');
  await second.query(`select smart_notify('c', '2'); commit`);
  await until('the second has arrived', () => seen.length === 1);
  await first.query('commit');
  await until('the first has arrived', () => seen.length === 2);
  await database.query(`alter database ${name} reset default_transaction_isolation`);
});

test.each(
  some([
    ['start', 'start' as const, [1, 2, 3, 4]],
    ['now', 'now' as const, [4]],
    ['a time', new Date(0), [1, 2, 3, 4]],
    ['a time in the future', new Date(Date.now() + 3_600_000), [4]],
  ]),
)('a new consumer begins at %s', async (_, from, expected) => {
  await publishRange(database, 1, 3);
  const { seen, definition } = collecting({ id: 'new' });
  await tail({ ...definition, from });
  await publish(database, 4);
  await until('the last arrives', () => seen.at(-1) === 4);
  expect(seen).toEqual(expected);
});

test('a new consumer that begins at an id receives that notification first', async () => {
  await publishRange(database, 1, 3);
  const { rows } = await database.query('select max(id)::int as id from pgwatch.notification_log');
  const { seen, definition } = collecting({ id: 'new' });
  await tail({ ...definition, from: rows[0].id });
  expect(seen).toEqual([3]);
});

test('a new consumer that begins at a future id misses nothing before it', async () => {
  await publishRange(database, 1, 3);
  const { seen, definition } = collecting({ id: 'new' });
  await tail({ ...definition, from: 1_000_000 });
  await publishRange(database, 4, 5);
  await until('both arrive', () => seen.length === 2);
  expect(seen).toEqual([4, 5]);
  const { rows } = await database.query(
    'select done_id < 1000000 as is_real from pgwatch.consumer_progress',
  );
  expect(rows).toEqual([{ is_real: true }]);
});

test('handlers write through context.db', async () => {
  await database.query('create table counter (n int)');
  await tail({
    id: 'c',
    channels: ['c'],
    handle: ({ payload }, { db }) => db.query('insert into counter values ($1)', [payload]),
  });
  await publish(database, 7);
  await until(
    'the row is there',
    async () => (await database.query('select from counter where n = 7')).rowCount === 1,
  );
});
