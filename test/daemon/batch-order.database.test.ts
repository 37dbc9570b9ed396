import { expect, test } from 'vitest';
import { DeadLetter, RetryAfter } from '../../src/consumers/outcome.ts';
import type { Notification } from '../../src/log/notification.ts';
import { changeDead } from '../helpers/change-dead.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const graceTest = handlersOnly('a delivery cannot be settled once its signal has aborted');

/* The order within a key if part of a batch does not succeed. */

const database = useDatabase({ shutdownTimeout: '300ms', maxBatchSize: 5 });
const { start, publish, filed, untilFiled } = useDelivering(database);

const payloadsOf = (notifications: readonly Notification[]) =>
  notifications.map(({ payload }) => payload);

const how = [{}, { instances: 'shared' as const }];

graceTest.each(some(how))(
  'a notification that pgwatch interrupts comes again before later ones of its key: %o',
  async (more) => {
    const calls: unknown[][] = [];
    const consumer = {
      id: 'c',
      channels: ['c'],
      batchSize: 10,
      ...more,
      async handleBatch(
        notifications: readonly Notification[],
        { signal }: { signal: AbortSignal },
      ) {
        if (calls.push(payloadsOf(notifications)) > 1) return;
        const aborted = new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('interrupted')));
        });
        return Promise.allSettled(
          notifications.map(({ payload }) => (payload === 'first' ? aborted : null)),
        );
      },
    };
    await publish(['k', 'first'], ['k', 'second'], ['l', 'other']);
    const daemon = start(consumer);
    await until('they are called', () => calls.length === 1);
    await daemon.stop();
    start(consumer);
    await until('the second is called again', () => calls.slice(1).flat().includes('second'));
    expect(calls.slice(1).flat()).toEqual(['first', 'second']);
    await untilFiled();
  },
);

const refusingOnce = (fail: () => { issues: { message: string }[] }) => {
  let isMended = false;
  return {
    mend: () => {
      isMended = true;
    },
    schema: {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) => (value === 'bad' && !isMended ? fail() : { value }),
      },
    },
  };
};

test.each(some(how))(
  "onDead: 'stop' holds the notifications after a refused one of the same key: %o",
  async (more) => {
    const { schema, mend } = refusingOnce(() => ({ issues: [{ message: 'no' }] }));
    const calls: unknown[][] = [];
    const consumer = {
      id: 'c',
      channels: ['c'],
      batchSize: 10,
      onDead: 'stop' as const,
      schema,
      ...more,
      handleBatch: (notifications: readonly Notification[]) =>
        void calls.push(payloadsOf(notifications)),
    };
    await publish(['k', 'bad'], ['k', 'behind'], ['l', 'other']);
    start(consumer);
    const rows = await untilFiled('dead', 'retry');
    expect(calls).toEqual([['other']]);
    mend();
    const client = await database.connect();
    await changeDead(client, 'retry', { ids: [rows[0]?.id as number] });
    await until('the next one is called', () => calls.flat().includes('behind'));
    expect(calls.flat()).toEqual(['other', 'bad', 'behind']);
  },
);

test('later notifications of a key wait if the validator fails for an earlier one', async () => {
  let failures = 0;
  const { schema, mend } = refusingOnce(() => {
    failures += 1;
    mend();
    throw new Error('registry cannot be reached');
  });
  const calls: unknown[][] = [];
  await publish(['k', 'bad'], ['k', 'behind'], [null, 'other']);
  const consumer = {
    id: 'c',
    channels: ['c'],
    batchSize: 10,
    retry: { backoff: () => 1 },
    schema,
    handleBatch: (notifications: readonly Notification[]) =>
      void calls.push(payloadsOf(notifications)),
  };
  start(consumer);
  await until('all are called', () => calls.flat().length === 3);
  expect([failures, calls.flat()]).toEqual([1, ['other', 'bad', 'behind']]);
});

test.each(
  some([
    [{}, () => new DeadLetter('never')],
    [{ retry: { attempts: 1 } }, () => new Error('the last attempt')],
    [{ instances: 'shared' as const }, () => new DeadLetter('never')],
    [{ transaction: true }, () => new DeadLetter('never')],
  ]),
)('what a handler leaves out after a dead letter is called again: %o', async (more, fail) => {
  const handled: unknown[] = [];
  const calls: unknown[][] = [];
  const consumer = {
    id: 'c',
    channels: ['c'],
    ...more,
    async handleBatch(notifications: readonly Notification[]) {
      calls.push(payloadsOf(notifications));
      const failed = new Set<unknown>();
      return notifications.map(({ key, payload }) => {
        // Called again anyway.
        if (failed.has(key)) return undefined;
        if (payload !== 'bad') {
          handled.push(payload);
          return undefined;
        }
        failed.add(key);
        return fail();
      });
    },
  };
  await publish(['k', 'bad'], ['k', 2], ['l', 3], ['k', 4]);
  start(consumer);
  await until('all others are handled', () => handled.includes(4) || JSON.stringify(calls));
  await untilFiled('dead');
  const ofKey = handled.filter((payload) => payload !== 3);
  expect(ofKey).toEqual([2, 4]);
});

test('in a slow batch, a notification waits only for a retry of its own key', async () => {
  const calls: unknown[][] = [];
  const consumer = {
    id: 'c',
    channels: ['c'],
    batchSize: 60,
    timeout: '1m',
    retry: { attempts: 1 },
    async handleBatch(notifications: readonly Notification[]) {
      const own = payloadsOf(notifications).filter((payload) => typeof payload === 'string');
      if (own.length === 0) return null;
      if (calls.push(own) > 1) return null;
      await until('it is filed because it is slow', async () => (await filed()).length > 0);
      return notifications.map(({ payload }) =>
        payload === 'first' ? new RetryAfter('10ms') : null,
      );
    },
  };
  const others = (count: number) =>
    Array.from({ length: count }, (_, i): [string, number] => [`s${i}`, i]);
  await publish(...others(20), ['k', 'first'], ['k', 'second'], ...others(400));
  start(consumer);
  await until('the second is called again', () => calls.length === 3);
  expect(calls).toEqual([['first', 'second'], ['first'], ['second']]);
  await untilFiled();
});

test.each(some([{}, { transaction: true }, { instances: 'shared' as const }]))(
  'a handler is not called after its timeout has passed, even if a slow schema used it up: %o',
  async (more) => {
    const calls: unknown[] = [];
    const checking = Promise.withResolvers<void>();
    const daemon = start({
      id: 'c',
      channels: ['c'],
      timeout: '100ms',
      retry: { attempts: 1 },
      schema: {
        '~standard': {
          version: 1 as const,
          vendor: 'test',
          async validate(value: unknown) {
            if (value === 'slow') await checking.promise;
            return { value };
          },
        },
      },
      handle: ({ payload }) => void calls.push(payload),
      ...more,
    });
    await publish(['k', 'slow'], ['k', 'next']);
    await until('the next is called', () => calls.length > 0);
    checking.resolve();
    await daemon.stop();
    expect(calls).toEqual(['next']);
    await untilFiled('dead');
  },
);
