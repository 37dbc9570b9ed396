import { setTimeout } from 'node:timers/promises';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { withConnection } from '../../src/database/connect.ts';
import { fileReplay } from '../../src/log/by-hand/replay-file.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startDaemon, startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { seize } from '../helpers/owner.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: many suspects cost little: they are recorded and called in groups, and only those of a group
that a process has died with are called alone. Keys keep their order.
Method: an owner that does not exist, as in suspect.database.test.ts; a trigger notes which
transaction records each suspect, and whether it is recorded alone.
*/

const database = useDatabase();
const { start, tail, keep, publish, untilFiled } = useDelivering(database);

const SHARED = { instances: 'shared' } as const;
const consumer = (
  handle: (notification: Notification) => unknown,
  rest: Partial<ConsumerDefinition> = {},
) => ({ id: 'c', channels: ['c'], retry: { backoff: () => 1 }, handle, ...rest });

beforeAll(() =>
  database.query(`
    create table recorded (xid xid8, id bigint, attempts integer);
    create function note() returns trigger language plpgsql as $$ begin
      insert into public.recorded values (pg_current_xact_id(), new.notification_id, new.attempts);
      return new;
    end $$;
    create trigger note after insert or update on pgwatch.delivery for each row
      when (new.is_suspect and not new.is_grouped) execute function note()`),
);

beforeEach(() => database.query('truncate recorded'));

test.each<[string, Partial<ConsumerDefinition>, recorded: number, transactions: number]>(
  some([
    ['alone', {}, 90, 3],
    ['side by side', { concurrency: 10 }, 90, 3],
    ['without order', { concurrency: 10, order: 'none' }, 90, 3],
    // In a transaction, no more than these can have been in hand.
    ['in a transaction', { transaction: true }, 50, 2],
    ['shared', { ...SHARED, concurrency: 10 }, 90, 3],
    ['shared, in a transaction', { ...SHARED, transaction: true }, 90, 3],
  ]),
)('%s: suspects are recorded by few transactions, and keys keep their order', async (...given) => {
  const [, how, recorded, transactions] = given;
  const seen = new Map<string | null, number[]>();
  const meet = ({ key, payload, attempt }: Notification) => {
    expect(attempt).toBe(1);
    seen.set(key, [...(seen.get(key) ?? []), payload as number]);
  };
  const define = () => consumer(meet, how);
  await (await startTailing(database.config, [define()])).stop();
  const all = Array.from({ length: 90 }, (_, n): [string, number] => [`key ${n % 7}`, n]);
  await leave(how, await publish(...all));
  await tail(define());
  await until('all are called', () => [...seen.values()].flat().length === 90);
  await untilFiled();
  for (const payloads of how.order === 'none' ? [] : seen.values()) {
    expect(payloads).toEqual(payloads.toSorted((a, b) => a - b));
  }
  expect([...seen.values()].flat().length).toBe(90);
  const { rows } = await database.query(
    `select count(distinct xid)::integer as transactions, count(*)::integer as recorded,
       max(attempts) as attempts from recorded`,
  );
  expect(rows[0]).toEqual({ transactions, recorded, attempts: 0 });
});

const SIDE_BY_SIDE: [string, Partial<ConsumerDefinition>][] = [
  ['alone', { concurrency: 5 }],
  ['in a transaction', { transaction: true }],
  ['shared', { ...SHARED, concurrency: 5 }],
];

test.each(some(SIDE_BY_SIDE))(
  '%s: suspects recorded in a group that died are called alone, and each call counts',
  async (_, how) => {
    let [running, most] = [0, 0];
    const seen: unknown[] = [];
    const define = () =>
      consumer(async ({ payload, attempt }) => {
        running += 1;
        most = Math.max(most, running);
        await database.query('select');
        seen.push([payload, attempt]);
        running -= 1;
      }, how);
    await (await startTailing(database.config, [define()])).stop();
    const ids = await publish(['a', 1], ['a', 2], ['b', 3], [null, 4]);
    await database.query(
      `insert into pgwatch.delivery
         (consumer_id, notification_id, key, state, next_attempt_at, is_suspect)
       select 'c', id, key, 'retry', now(), true from pgwatch.notification_log where id = any($1)`,
      [ids],
    );
    await leave(how, ids, 'retry');
    await tail(define());
    await untilFiled();
    expect(most).toBe(1);
    expect(seen.sort()).toEqual([1, 2, 3, 4].map((payload) => [payload, 1]));
    const { rows } = await database.query(
      `select count(distinct xid)::integer as transactions, min(attempts) as attempts from recorded
     where attempts > 0`,
    );
    expect(rows[0]).toEqual({ transactions: 4, attempts: 1 });
  },
);

test.each(some(SIDE_BY_SIDE))(
  '%s: a failure in a group holds later ones of its key in it, and no others',
  async (_, how) => {
    const seen: unknown[] = [];
    const define = () =>
      consumer(({ payload, attempt }) => {
        seen.push(payload);
        if (payload === 'a1' && attempt < 3) throw new Error('not yet');
      }, how);
    await (await startTailing(database.config, [define()])).stop();
    await leave(how, await publish(['a', 'a1'], ['a', 'a2'], ['b', 'b1'], ['a', 'a3']));
    await tail(define());
    await until('the last is called', () => seen.includes('a3') || JSON.stringify(seen));
    await untilFiled();
    expect(seen.filter((payload) => payload !== 'b1')).toEqual(['a1', 'a1', 'a1', 'a2', 'a3']);
    expect(seen.filter((payload) => payload === 'b1').length).toBe(1);
  },
);

test.each<[string, Partial<ConsumerDefinition>]>(
  some([
    ['alone', {}],
    ['in a transaction', { transaction: true }],
  ]),
)("%s: with onDead: 'stop' nothing of a group follows a dead letter", async (_, how) => {
  const seen: unknown[] = [];
  const define = () =>
    consumer(
      ({ payload }) => {
        seen.push(payload);
        if (payload === 1) throw new Error('never');
      },
      { ...how, onDead: 'stop', retry: { attempts: 1 } },
    );
  await (await startTailing(database.config, [define()])).stop();
  await leave(how, await publish(['a', 1], ['b', 2], ['c', 3]));
  const daemon = start(define(), other);
  await untilFiled('dead');
  await daemon.transitions.for({ type: 'asleep' });
  expect(seen).toEqual([1]);
});

/** Follows the tail, so the daemon goes to sleep once it has looked. */
const other = { id: 'other', channels: ['other'], handle: () => {} };

/** Leaves them as a process does that dies while handling them. */
async function leave(
  how: Partial<ConsumerDefinition>,
  ids: number[],
  kind: 'page' | 'retry' = 'page',
): Promise<void> {
  if (!how.instances) {
    await withConnection({ url: database.url }, (client) =>
      seize(client, { consumerId: 'c', channels: ['c'] }),
    );
    if (kind === 'page') return;
  } else {
    // Each lease has a slot of its own, so all of them can be taken at once.
    await database.query(
      `insert into pgwatch.lease (consumer_id, slot, notification_ids, kind, owner, epoch)
       select 'c', row_number() over (), array_agg(id order by id), $2, gen_random_uuid(), 1
       from pgwatch.notification_log where id = any($1) group by hashtextextended(key, 0)`,
      [ids, kind],
    );
  }
  await database.query(
    `update pgwatch.consumer_progress
     set done_id = $1, done_snapshot = pg_current_snapshot(), done_xid = null`,
    [ids.at(-1)],
  );
}

test.each(some(['waits', 'fails']))(
  'what comes before a suspect does not overtake one of its key that %s in an earlier page',
  async (how) => {
    const [old = 0] = await publish([null, 0]);
    const done: unknown[] = [];
    const fenced = Promise.withResolvers<void>();
    let [lives, failures] = [1, 0];
    const handle = async ({ key, payload }: Notification) => {
      if (lives === 1 && payload === 8) {
        await withConnection(database.config, (client) => {
          const none = { since: null, until: null, channel: null, key: null };
          const stretch = { ...none, consumerId: 'c', ids: [old] };
          return fileReplay(client, 'pgwatch', { stretch, speed: null, max: 1 });
        });
        fenced.resolve();
        lives += 1;
        throw new Error('the failure cannot be saved');
      }
      if (lives === 1 && payload === 1) await fenced.promise;
      // While these two run, the others of their page wait.
      if (lives === 2 && (payload === 1 || payload === 2)) await setTimeout(100);
      if (lives === 2 && payload === 4 && how === 'fails' && failures++ === 0)
        throw new Error('no');
      if (lives === 2 && key === 'k') done.push(payload);
    };
    keep(
      startDaemon({ ...database.config, maxBatchSize: 4 }, [consumer(handle, { concurrency: 2 })]),
    );
    await until('the old one is settled', async () => {
      const { rows } = await database.query(
        'select done_id >= $1 as ok from pgwatch.consumer_progress',
        [old],
      );
      return rows[0]?.ok || JSON.stringify(rows);
    });
    await publish(...[1, 2, 3, 4, 5, 6, 7, 8].map((n): [string | null, number] => [keyOf(n), n]));
    await until('all are done', () => done.includes(4) && done.includes(6));
    await untilFiled();
    expect(done).toEqual([4, 6]);
  },
);

const keyOf = (n: number) => (n === 4 || n === 6 ? 'k' : null);
