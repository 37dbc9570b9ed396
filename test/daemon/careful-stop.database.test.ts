import { setImmediate } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { withConnection } from '../../src/database/connect.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startDaemon, startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { seize } from '../helpers/owner.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: careful calls stop like all others: at a dead letter with onDead 'stop', and when the daemon
stops, without spending an attempt on a call that is not made.
Method: as in suspect.database.test.ts; a trigger blocks the record of an attempt while the test
holds a lock.
*/

const database = useDatabase({ pollInterval: '100ms' });
const { start, tail, publish, filed, untilFiled } = useDelivering(database);

const consumer = (
  handle: (notification: Notification) => unknown,
  rest: Partial<ConsumerDefinition> = {},
) => ({ id: 'c', channels: ['c'], retry: { backoff: () => 1 }, handle, ...rest });

beforeAll(() =>
  database.query(`
    create function held() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock(42); return new; end $$;
    create trigger held before insert on pgwatch.delivery for each row execute function held()`),
);

/** Follows the tail, so the daemon goes to sleep once it has looked. */
const other = { id: 'other', channels: ['other'], handle: () => {} };

const SHARED = { instances: 'shared' } as const;

test.each(
  some([
    ['alone', {}],
    ['alone, with transaction: true', { transaction: true }],
  ]),
)(
  "with onDead: 'stop' nothing new follows a suspect that becomes a dead letter: %s",
  async (_, how) => {
    const first = await startTailing(database.config, [
      consumer(() => Promise.reject(new Error('not yet')), {
        ...how,
        retry: { backoff: () => 3_600_000 },
      }),
    ]);
    await publish(['a', 'suspect']);
    await untilFiled('retry');
    await first.stop();
    await publish(['b', 'new'], ['c', 'new'], ['d', 'new'], ['e', 'new']);
    await seizeIt();
    await database.query('update pgwatch.delivery set next_attempt_at = now()');
    const calls: unknown[] = [];
    const isRead = Promise.withResolvers<void>();
    const stopping = consumer(
      async ({ payload }) => {
        calls.push(payload);
        if (payload !== 'suspect') return;
        await isRead.promise;
        for (let turn = 0; turn < 20; turn++) await setImmediate();
        throw new Error('never');
      },
      { ...how, onDead: 'stop', retry: { attempts: 2 } },
    );
    const daemon = start(stopping, other);
    await daemon.transitions.for({ type: 'catching_up' });
    isRead.resolve();
    await until('it is dead', async () => (await filed()).some(({ state }) => state === 'dead'));
    await daemon.transitions.for({ type: 'asleep' });
    expect(calls.at(-1)).toBe('suspect');
    await database.query(`delete from pgwatch.delivery where state = 'dead'`);
    await until('the others follow', () => calls.length === 5 || JSON.stringify(calls));
  },
);

test.each(
  some([
    ['a page', 'page', {}],
    ['an orphan', 'orphan', {}],
    ['a page, with transaction: true', 'page', { transaction: true }],
    ['an orphan, with transaction: true', 'orphan', { transaction: true }],
  ]),
)(
  "with onDead: 'stop' nothing new from its lease follows a dead letter: %s",
  async (_, kind, how) => {
    const calls: unknown[] = [];
    const stopping = consumer(
      ({ payload }) => {
        calls.push(payload);
        if (payload === 1) throw new Error('never');
      },
      { ...SHARED, ...how, onDead: 'stop', retry: { attempts: 1 } },
    );
    await leaseAll(stopping, kind, ['a', 1], ['a', 2], ['a', 3]);
    const daemon = await tail(stopping);
    await untilFiled('dead');
    await daemon.transitions.for({ type: 'asleep' });
    expect(calls).toEqual([1]);
    await database.query('delete from pgwatch.delivery');
    await until('the others follow', () => calls.length === 3 || JSON.stringify(calls));
    expect(calls).toEqual([1, 2, 3]);
  },
);

test.each(
  some([
    ['alone', {}],
    ['alone, with transaction: true', { transaction: true }],
    ['shared', SHARED],
    ['shared, with transaction: true', { ...SHARED, transaction: true }],
  ]),
)('a daemon that stops while it records an attempt does not spend it: %s', async (_, how) => {
  const calls: unknown[] = [];
  const definition = consumer(({ payload, attempt }) => calls.push([payload, attempt]), {
    ...how,
    retry: { attempts: 1 },
  });
  if ('instances' in how) await leaseAll(definition, 'orphan', ['a', 1]);
  else {
    await (await startTailing(database.config, [definition])).stop();
    await publish(['a', 1]);
    await seizeIt();
  }
  const holder = await database.connect();
  await holder.query('select pg_advisory_lock(42)');
  const first = startDaemon(database.config, [definition]);
  await until('it records', async () => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`,
    );
    return rowCount === 1;
  });
  const stopped = first.stop();
  await holder.query('select pg_advisory_unlock(42)');
  await stopped;
  expect(calls).toEqual([]);
  expect(await filed()).toMatchObject([{ state: 'retry', attempts: 0 }]);
  await tail(definition);
  await untilFiled();
  expect(calls).toEqual([[1, 1]]);
});

/** Stores a lease on these notifications that no process works on, as a dead process leaves it. */
async function leaseAll(
  definition: ReturnType<typeof consumer>,
  kind: string,
  ...notifications: [key: string, payload: unknown][]
): Promise<void> {
  await (await startTailing(database.config, [definition])).stop();
  const ids = await publish(...notifications);
  await database.query(
    `insert into pgwatch.lease (consumer_id, slot, notification_ids, kind) values ('c', 1, $1, $2)`,
    [ids, kind],
  );
  await database.query(
    `update pgwatch.consumer_progress
     set done_id = $1, done_snapshot = pg_current_snapshot(), done_xid = null`,
    [ids.at(-1)],
  );
}

function seizeIt() {
  return withConnection({ url: database.url }, (client) =>
    seize(client, { consumerId: 'c', channels: ['c'] }),
  );
}
