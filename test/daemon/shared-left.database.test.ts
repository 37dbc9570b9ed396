import { expect, test } from 'vitest';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a shared consumer leaves nothing behind: neither notifications blocked while it had an order,
nor those that a transaction of its own process held when it looked.
*/

const database = useDatabase();
const { tail, publish, untilFiled } = useDelivering(database);

const sharer = (
  handle: (notification: Notification) => unknown,
  rest: Partial<ConsumerDefinition> = {},
) => ({
  id: 'c',
  channels: ['c'],
  instances: 'shared' as const,
  retry: { backoff: () => 1 },
  handle,
  ...rest,
});

test('blocked notifications are delivered once the consumer has no order any more', async () => {
  const failing = sharer(() => Promise.reject(new Error('not yet')), {
    retry: { backoff: () => 3_600_000 },
  });
  const first = await startTailing(database.config, [failing]);
  await publish(['a', 1], ['a', 2], ['a', 3]);
  await untilFiled('retry', 'blocked', 'blocked');
  await first.stop();
  const seen: unknown[] = [];
  await tail(sharer(({ payload }) => seen.push(payload), { order: 'none' }));
  await until('both are handled', () => seen.length === 2 || JSON.stringify(seen));
});

test.each(['orphan', 'retry'])(
  'what a dead process was calling is due at once, and is called again: %s',
  async (kind) => {
    const attempts: number[] = [];
    const define = () => sharer(({ attempt }) => attempts.push(attempt));
    await (await startTailing(database.config, [define()])).stop();
    const [id] = await publish(['a', 1]);
    await database.query(
      `insert into pgwatch.lease (consumer_id, slot, notification_ids, kind, owner, epoch)
       values ('c', 1, array[$1::bigint], $2, gen_random_uuid(), 1)`,
      [id, kind],
    );
    await database.query(
      `insert into pgwatch.delivery (consumer_id, notification_id, state, key, attempts,
         next_attempt_at, called_attempt, is_suspect)
       values ('c', $1, 'retry', 'a', 1, now() + interval '10 minutes', 1, true)`,
      [id],
    );
    await database.query(
      `update pgwatch.consumer_progress
       set done_id = $1, done_snapshot = pg_current_snapshot(), done_xid = null`,
      [id],
    );
    await tail(define());
    await until('it is called again', () => attempts.length === 1 || 'not yet');
    expect(attempts).toEqual([2]);
    await untilFiled();
  },
);

test('a lease that was locked when its session ended is handled again', async () => {
  const seen: unknown[] = [];
  const called = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const daemon = await tail(
    sharer(
      async ({ payload }) => {
        seen.push(payload);
        called.resolve();
        await finish.promise;
      },
      { transaction: true },
    ),
  );
  await publish(['a', 1]);
  await called.promise;
  // Holds it like the transaction of a lost connection, until the server finds out.
  const zombie = await database.connect();
  await zombie.query('begin; select from pgwatch.lease for update');
  finish.resolve();
  await until('it settles', async () => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount === 1;
  });
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like 'pgwatch%'`,
  );
  await daemon.transitions.for({ type: 'connected' }, 2);
  await daemon.transitions.for({ type: 'tail_joined' }, 2);
  await zombie.query('rollback');
  await until('it is called again', () => seen.length === 2 || JSON.stringify(seen));
  await until('nothing is left', async () => {
    return (await database.query('select from pgwatch.lease')).rowCount === 0;
  });
});

test('a process that freezes before the commit of its effects loses the lease', async () => {
  await database.query(`
    create table setting (value text);
    create function note() returns trigger language plpgsql as $$ begin
      insert into setting values (current_setting('idle_in_transaction_session_timeout'));
      return old;
    end $$;
    create trigger note before delete on pgwatch.lease for each row execute function note()`);
  await tail(sharer(() => {}, { transaction: true }));
  await publish(['a', 1]);
  await until('it has settled', async () => {
    const { rows } = await database.query('select value from setting');
    return rows[0]?.value === '5s' || JSON.stringify(rows);
  });
});
