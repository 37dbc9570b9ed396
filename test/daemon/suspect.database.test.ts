import { expect, test } from 'vitest';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { withConnection } from '../../src/database/connect.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { NOBODY, seize } from '../helpers/owner.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: notifications that a process may have died with are called carefully, and recorded before the
call; a process that stops cleanly leaves nothing under suspicion.
Method: an owner that does not exist, handlers that look at the database during their calls, and
handlers that a daemon does not wait for.
*/

const database = useDatabase();
const { tail, publish, untilFiled } = useDelivering(database);

const consumer = (
  handle: (notification: Notification) => unknown,
  rest: Partial<ConsumerDefinition> = {},
) => ({ id: 'c', channels: ['c'], retry: { backoff: () => 1 }, handle, ...rest });

/** What the database holds about the consumer during a call of its handler. */
async function look(id: number) {
  const { rows } = await database.query(
    `select (greatest(done_id, window_id) >= $1) as is_passed, attempts, is_suspect, is_grouped
     from pgwatch.consumer_progress left join pgwatch.delivery on notification_id = $1`,
    [id],
  );
  return rows[0];
}

test.each(
  some([
    [true, 3, 0],
    [false, 3, 0],
    [true, 1, 1],
    [false, 1, 1],
  ]),
)(
  'after a crash calls are recorded with the position, and count if alone; transaction: %s, of %i',
  async (transaction, count, attempts) => {
    const seen: unknown[] = [];
    const define = () => consumer(async ({ id }) => seen.push(await look(id)), { transaction });
    await (await startTailing(database.config, [define()])).stop();
    const all: [string | null, number][] = [
      ['a', 1],
      ['b', 2],
      [null, 3],
    ];
    await publish(...all.slice(0, count));
    await seizeIt();
    await tail(define());
    await until('all are called', () => seen.length === count || JSON.stringify(seen));
    const recorded = { is_passed: true, attempts, is_suspect: true, is_grouped: false };
    expect(seen).toEqual(Array.from({ length: count }, () => recorded));
    await untilFiled();
  },
);

test('notifications that the dead owner cannot have had are not suspects', async () => {
  const seen = new Map<unknown, unknown>();
  const define = () =>
    consumer(async ({ id, payload }) => {
      seen.set(payload, (await look(id)).attempts);
      if (payload === 1) await publish([null, 'after the takeover']);
    });
  await (await startTailing(database.config, [define()])).stop();
  await publish([null, 1]);
  await database.query(
    `insert into pgwatch.daemon (daemon_id, host, pid, consumer_ids, shared_ids, has_lock,
       alive_until, activity)
     values ($1, 'gone', 1, '{}', '{}', false, clock_timestamp(), '{}')`,
    [NOBODY],
  );
  // Times are compared in milliseconds.
  await database.query('select pg_sleep(0.002)');
  await publish([null, 'after its death']);
  await seizeIt();
  await tail(define());
  await until('all are called', () => seen.size === 3 || JSON.stringify([...seen]));
  expect([...seen].sort()).toEqual(
    [
      ['after its death', null],
      ['after the takeover', null],
      [1, 1],
    ].sort(),
  );
});

test('retries of a dead owner are recorded before the call until they are done', async () => {
  const failing = consumer(() => Promise.reject(new Error('not yet')), {
    retry: { backoff: () => 3_600_000 },
  });
  const first = await startTailing(database.config, [failing]);
  await publish(['a', 'a1'], ['a', 'a2'], ['b', 'b1']);
  await untilFiled('retry', 'blocked', 'retry');
  await first.stop();
  await seizeIt();
  await database.query(`update pgwatch.delivery set next_attempt_at = now() where state = 'retry'`);
  const seen: unknown[] = [];
  await tail(
    consumer(async ({ id, payload, attempt }) => {
      const { attempts, is_suspect } = await look(id);
      seen.push([payload, attempt, attempts, is_suspect]);
      if (payload === 'b1' && attempt === 2) throw new Error('not yet');
    }),
  );
  await untilFiled();
  expect(seen.sort()).toEqual([
    ['a1', 2, 1, true],
    ['a2', 1, 0, true],
    ['b1', 2, 1, true],
    ['b1', 3, 2, false],
  ]);
});

test('so are those of a shared consumer, and a clean stop spends no attempt', async () => {
  const shared = { instances: 'shared', concurrency: 1 } as const;
  const failing = consumer(() => Promise.reject(new Error('not yet')), {
    ...shared,
    retry: { backoff: () => 3_600_000 },
  });
  const first = await startTailing(database.config, [failing]);
  await publish(['a', 'a1'], ['b', 'b1'], ['c', 'c1']);
  await untilFiled('retry', 'retry', 'retry');
  await first.stop();
  const due = `update pgwatch.delivery set next_attempt_at = now() where state = 'retry'`;
  await database.query(due);
  const called = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const slow = consumer(async () => {
    called.resolve();
    await finish.promise;
  }, shared);
  const second = await startTailing(database.config, [slow]);
  await called.promise;
  const stopped = second.stop();
  finish.resolve();
  await stopped;
  expect((await untilFiled('retry', 'retry')).map(({ attempts }) => attempts)).toEqual([1, 1]);

  // Leaves them as a process does that dies while handling them.
  await database.query(
    `insert into pgwatch.lease (consumer_id, notification_ids, kind, owner, epoch)
     select 'c', array_agg(notification_id), 'retry', gen_random_uuid(), 1 from pgwatch.delivery`,
  );
  const seen: unknown[] = [];
  await tail(
    consumer(async ({ id, attempt }) => {
      const { attempts, is_suspect } = await look(id);
      seen.push([attempt, attempts, is_suspect]);
    }, shared),
  );
  await untilFiled();
  expect(seen).toEqual([
    [2, 1, true],
    [2, 1, true],
  ]);
});

function seizeIt() {
  return withConnection({ url: database.url }, (client) =>
    seize(client, { consumerId: 'c', channels: ['c'] }),
  );
}
