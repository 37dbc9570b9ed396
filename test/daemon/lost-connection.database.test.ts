import { expect, test } from 'vitest';
import type { ConsumerContext, ConsumerDefinition } from '../../src/consumers/define.ts';
import type { Notification } from '../../src/log/notification.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: a notification whose handler loses the connection of its transaction becomes a dead letter
after its attempts, and costs no other notification a session or an attempt.
*/

const database = useDatabase();
const { tail, publish, untilFiled } = useDelivering(database);

type Loss = (context: ConsumerContext) => Promise<unknown>;

const KILL = 'select pg_terminate_backend(pg_backend_pid())';

const WAYS: Record<string, Loss> = {
  'is terminated': ({ db }) => db.query(KILL),
  'is terminated and the handler ignores the error': ({ db }) => db.query(KILL).catch(() => {}),
  'is terminated by a query that the handler does not await': async ({ db }) => {
    void db.query(`select pg_sleep(0.05), pg_terminate_backend(pg_backend_pid())`).catch(() => {});
  },
  'is idle for too long': async ({ db }) => {
    await db.query(`set local idle_in_transaction_session_timeout = '30ms'`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  },
  'is terminated from elsewhere': async ({ db }) => {
    const { rows } = await db.query('select pg_backend_pid() as pid');
    await database.query('select pg_terminate_backend($1, 1000)', [rows[0]?.pid]);
  },
};

function poisoned(lose: Loss, rest: Partial<ConsumerDefinition> = {}) {
  const calls: number[] = [];
  const done = new Set<unknown>();
  const handleOne = async (notification: Notification, context: ConsumerContext) => {
    if (notification.payload === 'poison') {
      calls.push(notification.attempt);
      await lose(context);
    }
    done.add(notification.payload);
  };
  const consumer = {
    id: 'c',
    channels: ['c'],
    transaction: true,
    retry: { attempts: 3, backoff: () => 1 },
    handle: handleOne,
    ...rest,
  } as ConsumerDefinition & { id: string };
  return { consumer, calls, done, handleOne };
}

const publishAround = () =>
  publish(['a', 1], ['b', 2], ['x', 'poison'], ['x', 'behind'], ['c', 3], [null, 4]);

test.each(some(Object.keys(WAYS)))(
  'a notification is a dead letter after its attempts if its connection %s',
  async (way) => {
    const { consumer, calls, done } = poisoned(WAYS[way] as Loss);
    const daemon = await tail(consumer);
    await publishAround();
    const [dead] = await untilFiled('dead');
    expect(calls).toEqual([1, 2, 3]);
    expect(dead?.attempts).toBe(3);
    expect(dead?.error?.message).toMatch(/The transaction of context.db was lost during the call/);
    await until('the others are done', () => [1, 2, 3, 4, 'behind'].every((n) => done.has(n)));
    expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
  },
);

test('the same holds for processes that share the consumer', async () => {
  const { consumer, calls, done } = poisoned(WAYS['is terminated'] as Loss, {
    instances: 'shared',
  });
  const daemon = await tail(consumer);
  await publishAround();
  await untilFiled('dead');
  expect(calls).toEqual([1, 2, 3]);
  await until('the others are done', () => [1, 2, 3, 4, 'behind'].every((n) => done.has(n)));
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
});

test('notifications of a batch are called alone until the culprit is known', async () => {
  const { calls, done, handleOne } = poisoned(WAYS['is terminated'] as Loss);
  const sizes: number[] = [];
  const daemon = await tail({
    id: 'c',
    channels: ['c'],
    transaction: true,
    retry: { attempts: 3, backoff: () => 1 },
    async handleBatch(notifications, context) {
      sizes.push(notifications.length);
      for (const notification of notifications) await handleOne(notification, context);
    },
  });
  await publishAround();
  await untilFiled('dead');
  // In the batch it was unknown whose attempt it was.
  expect(calls).toEqual([1, 1, 2, 3]);
  await until('the others are done', () => [1, 2, 3, 4, 'behind'].every((n) => done.has(n)));
  expect(Math.max(...sizes)).toBeGreaterThan(1);
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
});

test('without a transaction a lost connection is a failure like any other', async () => {
  const { consumer, calls, done } = poisoned(WAYS['is terminated'] as Loss, { transaction: false });
  const daemon = await tail(consumer);
  await publishAround();
  await untilFiled('dead');
  expect(calls).toEqual([1, 2, 3]);
  await until('the others are done', () => [1, 2, 3, 4, 'behind'].every((n) => done.has(n)));
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
});

test('a loss that others may have caused does not spend the only attempt', async () => {
  let isFirst = true;
  const { consumer, calls, done } = poisoned(
    async (context) => {
      if (!isFirst) return;
      isFirst = false;
      await (WAYS['is terminated from elsewhere'] as Loss)(context);
    },
    { retry: { attempts: 1 } },
  );
  await tail(consumer);
  await publishAround();
  await until('the others are done', () => [1, 2, 3, 4, 'behind'].every((n) => done.has(n)));
  await until('it is done', () => done.has('poison'));
  await untilFiled();
  expect(calls).toEqual([1, 1]);
});

test('the next call is made alone, and recorded before it', async () => {
  const seen: unknown[] = [];
  const { consumer } = poisoned(async (context) => {
    const { rows } = await database.query(
      'select state, attempts, is_suspect from pgwatch.delivery order by notification_id',
    );
    seen.push(rows);
    await context.db.query(KILL);
  });
  await tail(consumer);
  await publishAround();
  await untilFiled('dead');
  const behind = { state: 'blocked', attempts: 0, is_suspect: false };
  const alone = (attempts: number) => [{ state: 'retry', attempts, is_suspect: true }, behind];
  expect(seen).toEqual([[], alone(2), alone(3)]);
});

test('calls that together exceed the transaction timeout are made alone', async ({ skip }) => {
  const setting = await database.query(
    `select from pg_settings where name = 'transaction_timeout'`,
  );
  if (setting.rowCount === 0) {
    console.warn('SKIPPED: transaction_timeout, which needs PostgreSQL 17 or newer.');
    skip();
  }
  const done = new Set<unknown>();
  const attempts = new Set<number>();
  await database.query(
    `do $$ begin
       execute format('alter database %I set transaction_timeout = 400', current_database());
     end $$`,
  );
  try {
    await tail({
      id: 'c',
      channels: ['c'],
      transaction: true,
      retry: { attempts: 1 },
      async handle({ payload, attempt }, { db }) {
        await db.query('select pg_sleep(0.15)');
        attempts.add(attempt);
        done.add(payload);
      },
    });
    await publish(...[1, 2, 3, 4, 5].map((n): [null, number] => [null, n]));
    await until('all are done', async () => {
      const { rows } = await database.query('select count(*)::int from pgwatch.delivery');
      return done.size === 5 && rows[0].count === 0;
    });
    await untilFiled();
    expect([...attempts]).toEqual([1]);
  } finally {
    await database.query(
      `do $$ begin
         execute format('alter database %I reset transaction_timeout', current_database());
       end $$`,
    );
  }
});
