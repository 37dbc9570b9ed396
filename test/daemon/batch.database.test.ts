import { expect, test } from 'vitest';
import { DeadLetter } from '../../src/consumers/outcome.ts';
import { changeDeadLetters } from '../../src/log/by-hand/dead-letter-change.ts';
import { NO_FILTER } from '../../src/log/deliveries/filter.ts';
import type { Notification } from '../../src/log/notification.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ pollInterval: '10m' });
const { tail, publish, filed, untilFiled } = useDelivering(database);

/**
 * A batch consumer whose first call runs `first`, and whose later calls succeed. `calls` records
 * the payloads of each call.
 */
function consumer(first: (payloads: unknown[]) => unknown, rest: { transaction?: boolean } = {}) {
  const calls: unknown[][] = [];
  return {
    calls,
    definition: {
      id: 'c',
      channels: ['c'],
      retry: { backoff: () => 1 },
      ...rest,
      handleBatch(notifications: Notification[]) {
        const payloads = notifications.map(({ payload }) => payload);
        return calls.push(payloads) === 1 ? first(payloads) : undefined;
      },
    },
  };
}

test('a batch in a transaction that times out is split and spends no attempt', async () => {
  const through: unknown[] = [];
  let cutCount = 0;
  await tail({
    id: 'c',
    channels: ['c'],
    transaction: true,
    timeout: 50,
    retry: { backoff: () => 1 },
    async handleBatch(notifications) {
      const isCut = notifications.some(({ payload, attempt }) => payload === 3 && attempt === 1);
      if (isCut) {
        cutCount += 1;
        await new Promise(() => {});
      }
      for (const { payload, attempt } of notifications) through.push([payload, attempt]);
    },
  });
  await publish([null, 1], [null, 2], [null, 3], [null, 4]);
  await until('all are through', () => through.length === 4 || JSON.stringify(through));
  expect(through.sort()).toEqual([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 1],
  ]);
  expect(cutCount).toBe(2);
  await untilFiled();
});

test.each<[string, (payloads: unknown[]) => unknown]>([
  ['errors', (payloads) => payloads.map((payload) => (payload === 2 ? new Error('no') : null))],
  [
    'results of Promise.allSettled',
    (payloads) =>
      Promise.allSettled(payloads.map(async (payload) => payload === 2 && Promise.reject('no'))),
  ],
])('a list of %s reports the outcome of each notification by its index', async (_, first) => {
  const { calls, definition } = consumer(first);
  await tail(definition);
  await publish([null, 1], [null, 2], [null, 3]);
  await until('the failed one comes again', () => calls.length === 2);
  await untilFiled();
  expect(calls).toEqual([[1, 2, 3], [2]]);
});

test('a DeadLetter in the list makes a dead letter, and the others are done', async () => {
  const { calls, definition } = consumer(() => [null, new DeadLetter('never'), null]);
  await tail(definition);
  const ids = await publish([null, 1], [null, 2], [null, 3]);
  expect(await untilFiled('dead')).toMatchObject([{ id: ids[1] }]);
  expect(calls).toEqual([[1, 2, 3]]);
});

test.each<[string, () => unknown, RegExp]>([
  ['throws', () => Promise.reject(new Error('all of it')), /all of it/],
  ['names too few', () => [new Error('which?')], /returned 1 results for 3 notifications/],
])(
  'if a batch handler %s, all notifications fail and are retried one by one',
  async (_, first, expected) => {
    const { calls, definition } = consumer(first);
    const daemon = await tail(definition);
    await publish([null, 1], [null, 2], [null, 3]);
    await until('all come again', () => calls.length === 4);
    await untilFiled();
    expect(calls).toEqual([[1, 2, 3], [1], [2], [3]]);
    expect(daemon.reports.filter((line) => expected.test(line)).length).toBe(3);
  },
);

test('a batch in a transaction that throws is split, and spends no attempt', async () => {
  const { calls, definition } = consumer(() => Promise.reject(new Error('all of it')), {
    transaction: true,
  });
  await tail(definition);
  await publish([null, 1], [null, 2], [null, 3]);
  await until('all come again', () => calls.length === 4);
  expect(calls).toEqual([[1, 2, 3], [1], [2], [3]]);
  expect(await filed()).toEqual([]);
});

test.each([
  ['one', 'continue', new Error('not now'), [1, 2, 3, 4, 2, 3]],
  ['shared', 'continue', new Error('not now'), [1, 2, 3, 4, 2, 3]],
  ['one', 'continue', new DeadLetter('never'), [1, 2, 3, 4, 3]],
  ['one', 'stop', new DeadLetter('never'), [1, 2, 3, 4, 2, 3]],
  ['shared', 'stop', new DeadLetter('never'), [1, 2, 3, 4, 2, 3]],
] as const)(
  "a later notification of a failed one's key is called again after it: %s, onDead: '%s', %s",
  async (instances, onDead, failure, expected) => {
    const seen: unknown[] = [];
    const daemon = await tail({
      id: 'c',
      channels: ['c'],
      instances,
      onDead,
      retry: { backoff: () => 1 },
      handleBatch(notifications: Notification[]) {
        const isFirst = seen.length === 0;
        seen.push(...notifications.map(({ payload }) => payload));
        return notifications.map(({ payload }) => (isFirst && payload === 2 ? failure : null));
      },
    });
    // 1, 2 and 3 share a key: the empty string, which is not the same as no key.
    await publish(['', 1], ['', 2], ['', 3], [null, 4]);
    await until('the first call is over', () => seen.length >= 4 || seen.join());
    if (onDead === 'stop') {
      await until('it has stopped', () => daemon.reports.join('').includes('dead letter'));
      await untilFiled('dead', 'retry');
      const client = await database.connect();
      const change = {
        action: 'retry',
        filter: { ...NO_FILTER, consumerIds: ['c'] },
        isDryRun: false,
      } as const;
      for await (const _ of changeDeadLetters(client, 'pgwatch', change));
    }
    await until('all have come', () => seen.length === expected.length || seen.join());
    await untilFiled(...(onDead === 'continue' && failure instanceof DeadLetter ? ['dead'] : []));
    expect(seen).toEqual(expected);
  },
);
