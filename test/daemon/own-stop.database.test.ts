import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ConsumerContext, ConsumerDefinition } from '../../src/consumers/define.ts';
import { DeadLetter } from '../../src/consumers/outcome.ts';
import { withConnection } from '../../src/database/connect.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { planSeek } from '../../src/log/by-hand/seek-plan.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startDaemon, startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { seize } from '../helpers/owner.ts';
import { startProxy } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: a call that pgwatch itself ends (at the end of shutdownTimeout, because of a seek, or with a
lost network) spends no attempt, however the handler is called; a call that fails by itself does.
Method: there is a single attempt; a call is stopped, and the next daemon has to call it as the
first.
*/

const graceTest = handlersOnly('a delivery cannot be settled once its signal has aborted');

const database = useDatabase({ pollInterval: '100ms' });
const { start, tail, publish, filed, untilFiled } = useDelivering(database);
const impatient = () => ({ ...database.config, shutdownTimeoutMs: 50 });

type Handle = (notification: Notification, context: ConsumerContext) => unknown;

const consumer = (handle: Handle, how: Partial<ConsumerDefinition> = {}) => ({
  id: 'c',
  channels: ['c'],
  retry: { attempts: 1, backoff: () => 1 },
  ...how,
  handle,
});

const SHARED = { instances: 'shared' } as const;
const IN_TRANSACTION = { transaction: true } as const;

const ways: [string, Partial<ConsumerDefinition>][] = [
  ['alone', {}],
  ['side by side', { concurrency: 4 }],
  ['shared', SHARED],
  ['in a transaction', IN_TRANSACTION],
  ['shared, in a transaction', { ...SHARED, ...IN_TRANSACTION }],
];
const carefulWays = ways.flatMap(
  ([name, how]): [string, Partial<ConsumerDefinition>, boolean][] => [
    [name, how, false],
    [`${name}, carefully`, how, true],
  ],
);

/** Publishes for a registered consumer. If isCareful, its owner has died while handling it. */
async function leave(how: Partial<ConsumerDefinition>, isCareful: boolean): Promise<void> {
  await (await startTailing(database.config, [consumer(() => {}, how)])).stop();
  const ids = await publish(['a', 1]);
  if (isCareful && how.instances === 'shared') {
    await database.query(
      `insert into pgwatch.lease (consumer_id, slot, notification_ids, kind)
       values ('c', 1, $1, 'orphan')`,
      [ids],
    );
    await database.query(
      `update pgwatch.consumer_progress
       set done_id = $1, done_snapshot = pg_current_snapshot(), done_xid = null`,
      [ids.at(-1)],
    );
  } else if (isCareful) {
    await withConnection({ url: database.url }, (client) =>
      seize(client, { consumerId: 'c', channels: ['c'] }),
    );
  }
}

/** Runs the consumer until it is done, and returns the attempts that it saw. */
async function finish(how: Partial<ConsumerDefinition>): Promise<number[]> {
  const attempts: number[] = [];
  const handle: Handle = (_, { attempt }) => void attempts.push(attempt);
  await tail(consumer(handle, how));
  await until('it is called again', () => attempts.length > 0);
  await untilFiled();
  return attempts;
}

test.each(some(carefulWays))(
  'a call that outlasts shutdownTimeout spends no attempt: %s',
  async (_, how, isCareful) => {
    await leave(how, isCareful);
    const begun = Promise.withResolvers<void>();
    const slow: Handle = async (_notification, { signal }) => {
      begun.resolve();
      await sleep(60_000, null, { signal });
    };
    const daemon = startDaemon(impatient(), [consumer(slow, how)]);
    await begun.promise;
    await daemon.stop();
    for (const { state, attempts } of await filed()) {
      expect([state, attempts]).toEqual(['retry', 0]);
    }
    expect(await finish(how)).toEqual([1]);
  },
);

test.each(
  some([
    ['ignores its signal', () => new Promise(() => {})],
    ['checks its signal only afterwards', lookLate],
    [
      'throws its own error when its signal aborts',
      (_: unknown, { signal }: ConsumerContext) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('the upload was cut short')));
        }),
    ],
  ] as [string, Handle][]),
)('a call whose handler %s spends no attempt, either', async (_, handle) => {
  await leave({}, true);
  await stopDuringCall(handle);
  expect(await finish({})).toEqual([1]);
});

async function lookLate(_: unknown, context: ConsumerContext): Promise<void> {
  await sleep(200);
  context.signal.throwIfAborted();
}

graceTest('if a batch is stopped, notifications that succeeded stay done', async () => {
  await leave({}, false);
  await publish(['b', 2]);
  const begun = Promise.withResolvers<void>();
  const daemon = startDaemon(impatient(), [
    {
      id: 'c',
      channels: ['c'],
      retry: { attempts: 1 },
      handleBatch: async (notifications: Notification[], { signal }: ConsumerContext) => {
        begun.resolve();
        const wait = sleep(60_000, null, { signal });
        return Promise.allSettled(
          notifications.map(({ payload }) => (payload === 1 ? wait : null)),
        );
      },
    },
  ]);
  await begun.promise;
  await daemon.stop();
  const payloads: unknown[] = [];
  await tail(consumer(({ payload }) => void payloads.push(payload)));
  await until('the stopped one comes again', () => payloads.length > 0);
  await untilFiled();
  expect(payloads).toEqual([1]);
});

/** Stops the daemon during the call, for which it waits briefly. */
async function stopDuringCall(handle: Handle): Promise<void> {
  const begun = Promise.withResolvers<void>();
  const daemon = startDaemon(impatient(), [
    consumer((...args) => {
      begun.resolve();
      return handle(...args);
    }),
  ]);
  await begun.promise;
  await daemon.stop();
}

test('the attempt of a handler that fails before the daemon stops waiting counts', async () => {
  await leave({}, false);
  await stopDuringCall(async () => {
    throw new Error('never');
  });
  expect(await filed()).toMatchObject([{ state: 'dead', attempts: 1 }]);
});

graceTest.each(
  some([
    [
      'never read its signal',
      async () => {
        await sleep(200);
        throw new Error('never');
      },
    ],
    [
      'reports that it will never succeed',
      async (_: unknown, { signal }: ConsumerContext) => {
        await sleep(60_000, null, { signal }).catch(() => {
          throw new DeadLetter('never');
        });
      },
    ],
  ] as [string, Handle][]),
)('the attempt of a handler that %s counts', async (_, handle) => {
  await leave({}, false);
  await stopDuringCall(handle);
  expect(await filed()).toMatchObject([{ state: 'dead', attempts: 1 }]);
});

test.each(some(carefulWays.filter(([, , isCareful]) => isCareful)))(
  "a seek during a call spends no attempt, whatever the call's outcome: %s",
  async (_, how) => {
    await leave(how, true);
    const begun = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const attempts: number[] = [];
    const daemon = start(
      consumer(async (_notification, { attempt }) => {
        attempts.push(attempt);
        if (attempts.length > 1) return;
        begun.resolve();
        await release.promise;
        throw new Error('too late');
      }, how),
    );
    await begun.promise;
    await withConnection({ url: database.url }, async (client) => {
      const seek = { consumerId: 'c', to: 'start' } as const;
      const { epoch } = await planSeek(client, 'pgwatch', seek);
      await seekPosition(client, 'pgwatch', { ...seek, seenEpoch: epoch, mode: 'live' });
    });
    release.resolve();
    await until('it is called again', () => attempts.length > 1);
    await untilFiled();
    expect(new Set(attempts)).toEqual(new Set([1]));
    await daemon.stop();
  },
);

test('a handler whose query is cut off by a silent network spends no attempt', async () => {
  await leave({}, false);
  const proxy = await startProxy(database.url);
  const attempts: number[] = [];
  const config = {
    ...database.config,
    url: proxy.url,
    heartbeatIntervalMs: 100,
    heartbeatDeadlineMs: 1000,
  };
  const handle: Handle = async (_, { attempt, db }) => {
    attempts.push(attempt);
    if (attempts.length === 1) {
      const asking = db.query('select pg_sleep(3600)');
      await until('the server runs it', async () => {
        const { rowCount } = await database.query(
          `select from pg_stat_activity where query = 'select pg_sleep(3600)' and state = 'active'`,
        );
        return rowCount === 1;
      });
      proxy.blackhole();
      await asking;
    }
  };
  const daemon = startDaemon(config, [consumer(handle)]);
  await until('it is called again', () => attempts.length > 1);
  await untilFiled();
  await daemon.stop();
  await proxy.close();
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(3600)'`,
  );
  expect(new Set(attempts)).toEqual(new Set([1]));
});
