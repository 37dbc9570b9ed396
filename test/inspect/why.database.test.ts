import type { Client } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { readStatus } from '../../src/inspect/status.ts';
import type { Reason } from '../../src/inspect/why/decide.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { readFacts } from '../../src/inspect/why/facts.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { insertLeases } from '../../src/log/leases/take.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { startDaemon, untilTailing } from '../helpers/daemon.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';

/*
Each state comes about by daemons, writers and crashes, as in production. The tests compare the code
of each reason.
*/

const database = useIsolatedServer({ max_prepared_transactions: '5' });
const { tail, publish, untilFiled } = useDelivering(database);
let client: Client;
let writer: Client;

beforeAll(async () => {
  client = await database.connect();
  writer = await database.connect();
});

const ask = (id: number, consumerId: string | null = null) =>
  explain(client, database.config, { id, consumerId });

/** The reasons of consumer c. */
const reasons = async (id: number): Promise<Reason[]> =>
  (await ask(id, 'c')).answers.flatMap((answer) => answer.reasons);

const codes = async (id: number) => (await reasons(id)).map(({ code }) => code);

const one = async (key: string | null = null, payload: unknown = 0) => {
  const [id = 0] = await publish([key, payload]);
  return id;
};

const draw = async (by: Client) => {
  const { rows } = await by.query(`select smart_notify('c', '0')::float8 as id`);
  return (rows[0] as { id: number }).id;
};

const register = (from: 'start' | 'now' = 'start') =>
  registerConsumer(client, 'pgwatch', { id: 'c', channels: ['c'], from });

const c = { id: 'c', channels: ['c'] };

describe('a notification that is not visible', () => {
  test('was never published', async () => {
    const id = await one();
    expect((await ask(id + 1)).presence).toEqual({ code: 'never_drawn', lastId: id });
  });

  test('was rolled back, or is uncommitted: only possible writers are named', async () => {
    await writer.query(`set application_name = 'importer'; begin`);
    const id = await draw(writer);
    await one();
    const other = await database.connect();
    await other.query('begin');
    await draw(other);
    const { presence } = await ask(id);
    expect(presence).toEqual({
      code: 'unseen',
      // The other began after a later id was written.
      writers: [
        expect.objectContaining({
          gid: null,
          program: 'importer',
          state: 'idle in transaction',
          since: expect.any(Date),
          query: expect.stringContaining('smart_notify'),
          idleSince: expect.any(Date),
        }),
      ],
    });
    await Promise.all([writer.query('commit'), other.query('rollback')]);
    expect((await ask(id)).presence).toMatchObject({ code: 'present' });
  });

  test('has a publisher that waits for another publisher of the same event', async () => {
    const send = `select smart_notify('c', '0',
      event_id => '00000000-0000-4000-8000-000000000001')`;
    const other = await database.connect();
    await writer.query(`begin; ${send}`);
    const { rows } = await client.query(
      'select last_value::float8 + 1 as id from pgwatch.notification_log_id_seq',
    );
    const { id } = rows[0] as { id: number };
    await other.query('begin');
    const waiting = other.query(send);
    let found = await ask(id);
    try {
      await until('it has drawn its id', async () => {
        found = await ask(id);
        return found.presence.code === 'unseen' || found.presence.code;
      });
    } finally {
      await writer.query('rollback');
    }
    await waiting;
    await other.query('commit');
    expect(found.presence).toMatchObject({
      writers: [{ state: 'idle in transaction' }, { state: 'active' }],
    });
    expect((await ask(id)).presence).toMatchObject({ code: 'present' });
  });

  test('is prepared', async () => {
    await writer.query(`begin; set local pgwatch.notify = 'off'`);
    const id = await draw(writer);
    await writer.query(`prepare transaction 'it''s prepared'`);
    const { presence } = await ask(id);
    await client.query(`rollback prepared 'it''s prepared'`);
    expect(presence).toEqual({
      code: 'unseen',
      writers: [
        expect.objectContaining({ pid: null, gid: "it's prepared", since: expect.any(Date) }),
      ],
    });
  });

  test('was rolled back, even to a savepoint of a transaction that continues', async () => {
    await one();
    await writer.query('begin; savepoint s');
    const id = await draw(writer);
    await writer.query('rollback to s');
    expect((await ask(id)).presence).toEqual({ code: 'rolled_back' });
    await writer.query('commit');
  });

  test('was rolled back while a transaction that had written was long idle', async () => {
    await writer.query('begin');
    await draw(writer);
    const other = await database.connect();
    await other.query('begin');
    const id = await draw(other);
    await other.query('rollback');
    const unsure = await ask(id);
    const previous = await one();
    await client.query(
      `update pgwatch.notification_log set created_at = created_at + interval '2 min'
        where id = $1`,
      [previous],
    );
    await other.query('begin');
    const later = await draw(other);
    await other.query('rollback');
    const sure = await ask(later);
    await writer.query('commit');
    expect(unsure.presence).toMatchObject({ code: 'unseen', writers: [{}] });
    expect(sure.presence).toEqual({ code: 'rolled_back' });
  });

  test('was removed from the middle of the log by a cleanup that recorded it', async () => {
    const [, id = 0, last = 0] = await publish([null, 1], [null, 2], [null, 3]);
    await client.query('delete from pgwatch.notification_log where id in ($1, $2)', [id, last]);
    await client.query(
      `select pgwatch.log_gap_tell(jsonb_build_array(jsonb_build_object(
         'consumer_id', 'x', 'count', 1, 'first_id', $1::bigint, 'last_id', $1::bigint,
         'from', now(), 'until', now())))`,
      [id],
    );
    expect((await ask(id)).presence).toMatchObject({
      code: 'removed',
      gap: { firstId: id, lastId: id, removedAt: expect.any(Date) },
    });
    expect((await ask(last)).presence).toEqual({ code: 'rolled_back' });
  });

  test('was removed', async () => {
    const [id = 0, next = 0] = await publish([null, 1], [null, 2]);
    await client.query('delete from pgwatch.notification_log where id = $1', [id]);
    expect((await ask(id)).presence).toEqual({ code: 'removed', oldestId: next, gap: null });
  });
});

describe('a consumer', () => {
  test('has handled it, and another reads other channels', async () => {
    await registerConsumer(client, 'pgwatch', { id: 'b', channels: ['other'], from: 'start' });
    const seen: unknown[] = [];
    await tail({ ...c, handle: ({ payload }) => void seen.push(payload) });
    const id = await one();
    await until('it is saved', async () => {
      const found = (await codes(id)).join();
      return found === 'done' || found;
    });
    expect((await ask(id)).answers).toEqual([
      {
        consumerId: 'b',
        isArrived: false,
        isExpected: false,
        reasons: [{ code: 'filtered', channels: ['other'] }],
      },
      { consumerId: 'c', isArrived: true, isExpected: true, reasons: [{ code: 'done' }] },
    ]);
  });

  test('began after it, or was moved past it, and back', async () => {
    const id = await one();
    await register('now');
    const behind = await one();
    expect(await reasons(id)).toEqual([{ code: 'skipped', at: expect.any(Date) }]);
    const move = (to: 'now' | 'start', seenEpoch: number) =>
      seekPosition(client, 'pgwatch', { consumerId: 'c', to, seenEpoch, mode: 'idle' });
    await move('now', 0);
    expect(await reasons(behind)).toMatchObject([{ code: 'done_or_skipped' }]);
    expect((await ask(behind)).answers).toMatchObject([{ isArrived: null, isExpected: true }]);
    await move('start', 1);
    expect(await codes(id)).toEqual(['not_running', 'waiting']);
  });

  test('was told to skip what it had missed', async () => {
    await register();
    const id = await one();
    const daemon = startDaemon(database.config, [{ ...c, handle() {} }], { skipPlayback: true });
    await untilTailing(daemon, [c]);
    await daemon.stop();
    expect(await reasons(id)).toMatchObject([{ code: 'done_or_skipped' }]);
  });

  test('may be handling it: only its owner knows', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let calls = 0;
    await tail({
      ...c,
      async handle() {
        calls += 1;
        await held;
      },
    });
    await one();
    const second = await one();
    await until('it is called', () => calls > 0 || 'not yet');
    expect(await reasons(second)).toMatchObject([
      { code: 'waiting', ahead: 1, mayBeUnderWay: true },
    ]);
    release();
  });

  test('is not run by a daemon: earlier notifications are counted', async () => {
    await register();
    const ids = await publish([null, 1], [null, 2], [null, 3]);
    expect(await reasons(ids[2] as number)).toMatchObject([
      { code: 'not_running', runner: null },
      { code: 'waiting', ahead: 2, isExact: true, reachedId: 0 },
    ]);
  });

  test('is one of several: earlier notifications are counted up to a shared limit', async () => {
    await register();
    const ids = await publish(...Array.from({ length: 12 }, (_, i): [null, number] => [null, i]));
    await client.query(
      `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
       select name, channels, case when name = 'done' then $1 else done_id end,
         case when name = 'done' then pg_current_snapshot() else done_snapshot end
       from pgwatch.consumer_progress, unnest('{slow,done}'::text[]) as name`,
      [ids.at(-1)],
    );
    const id = ids.at(-1) as number;
    const { presence } = await ask(id);
    const entry = presence.code === 'present' ? presence.entry : null;
    const ahead = async (seenMax: number, consumerId: string | null = null) =>
      (await readFacts(client, 'pgwatch', { entry, consumerId, id, seenMax })).map(
        (facts) => `${facts.consumerId}: ${facts.isExact ? '' : 'more than '}${facts.ahead}`,
      );
    expect(await ahead(100)).toEqual(['c: 11', 'done: 0', 'slow: 11']);
    expect(await ahead(10)).toEqual(['c: more than 5', 'done: 0', 'slow: more than 5']);
    expect(await ahead(12, 'slow')).toEqual(['slow: 11']);
    expect(await ahead(0)).toEqual(['c: more than 0', 'done: more than 0', 'slow: more than 0']);
  });

  test('is paused', async () => {
    await register();
    const id = await one();
    await client.query('update pgwatch.consumer_progress set paused_at = now()');
    expect(await codes(id)).toEqual(['paused', 'waiting']);
    await client.query(`update pgwatch.consumer_progress
      set paused_at = now() - interval '2 hours', paused_until = now() - interval '1 hour'`);
    expect(await codes(id)).toEqual(['not_running', 'waiting']);
  });

  test('fails on it, and later ones with its key are blocked', async () => {
    await tail({
      ...c,
      retry: { attempts: 5, backoff: '1h' },
      handle() {
        throw new Error('no connection');
      },
    });
    const [first = 0, second = 0] = await publish(['k', 1], ['k', 2]);
    await untilFiled('retry', 'blocked');
    expect(await reasons(first)).toMatchObject([
      { code: 'backoff', attempts: 1, lastError: { message: 'no connection' } },
    ]);
    expect(await reasons(second)).toMatchObject([
      { code: 'blocked', by: { id: first, state: 'retry', lastError: { name: 'Error' } } },
    ]);
    await client.query(`update pgwatch.delivery set next_attempt_at = now(), replayed_at = now(),
      attempts = 0, last_failed_at = null, last_error = null where state = 'retry'`);
    // The daemon was not told.
    expect(await codes(first)).toEqual(['replay']);
  });

  test('has it as a dead letter, even if the log no longer has it', async () => {
    await tail({
      ...c,
      retry: { attempts: 1 },
      handle() {
        throw new TypeError('x');
      },
    });
    const id = await one();
    await untilFiled('dead');
    const dead = { code: 'dead', attempts: 1, lastError: { name: 'TypeError', message: 'x' } };
    expect(await reasons(id)).toMatchObject([dead]);
    await client.query('delete from pgwatch.notification_log');
    const { presence, answers } = await ask(id, 'c');
    expect([presence.code, answers[0]?.reasons]).toMatchObject(['removed', [dead]]);
  });

  test('finds it as a late commit', async () => {
    await register();
    await writer.query('begin');
    const late = await draw(writer);
    const next = await one();
    await client.query(
      `update pgwatch.consumer_progress set done_id = $1, done_snapshot = pg_current_snapshot()`,
      [next],
    );
    await writer.query('commit');
    expect(await codes(late)).toEqual(['not_running', 'late']);
  });

  test('is shared: the process that handles it is named, or that none has taken it', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let calls = 0;
    await tail({
      ...c,
      instances: 'shared',
      async handle() {
        calls += 1;
        await held;
      },
    });
    const id = await one('k');
    await until('it is called', () => calls === 1 || 'not yet');
    expect(await reasons(id)).toMatchObject([
      { code: 'under_way', attempt: 1, runner: { pid: process.pid, isLive: true } },
    ]);
    const [first = 0, second = 0] = await publish(['k', 1], ['k', 2]);
    await insertLeases(client, 'pgwatch', 'x', [
      { kind: 'page', slot: 1, notificationIds: [first] },
      { kind: 'page', slot: 1, notificationIds: [second] },
    ]);
    await registerConsumer(client, 'pgwatch', { id: 'x', channels: ['c'], from: 'now' });
    const [answer] = (await ask(second, 'x')).answers;
    expect(answer?.reasons).toMatchObject([
      { code: 'not_running' },
      { code: 'leased', earlier: 1, runner: null },
    ]);
    release();
  });

  test.each([
    ['stopped', 'stopped'],
    ['retrying', 'overfull'],
  ])('takes nothing new, as its daemon says (%s)', async (state, code) => {
    await register();
    const id = await one();
    await client.query(
      `insert into pgwatch.daemon
         (daemon_id, host, pid, has_lock, consumer_ids, shared_ids, alive_until, activity)
       values (gen_random_uuid(), 'h', 7, false, '{c}', '{}', now() + interval '1 hour',
         jsonb_build_object('consumers',
           jsonb_build_object('c', jsonb_build_object('state', $1::text))))`,
      [state],
    );
    expect(await reasons(id)).toMatchObject([
      { code, runner: { host: 'h', pid: 7, isLive: true } },
      { code: 'waiting' },
    ]);
  });
});

test('a consumer that finishes nothing while one waits is reported as still', async () => {
  await register();
  const id = await one();
  await client.query(
    `insert into pgwatch.daemon
       (daemon_id, host, pid, has_lock, consumer_ids, shared_ids, alive_until, activity)
     values (gen_random_uuid(), 'h', 7, false, '{c}', '{}', now() + interval '1 hour',
       '{"consumers": {"c": {"state": "tail", "rate": 0}}}')`,
  );
  expect(await reasons(id)).toMatchObject([{ mayBeUnderWay: true, isStill: false }]);
  await client.query(
    `update pgwatch.notification_log set created_at = created_at - interval '1 minute'`,
  );
  expect(await reasons(id)).toMatchObject([{ mayBeUnderWay: true, isStill: true }]);
  await client.query(
    `update pgwatch.daemon set activity = jsonb_set(activity, '{consumers,c,rate}', '0.1')`,
  );
  expect(await reasons(id)).toMatchObject([{ mayBeUnderWay: true, isStill: false }]);
});

test('a log that another cluster wrote is reported', async () => {
  await register();
  const id = await one();
  await client.query(
    `update pgwatch.notification_log
      set xid = (pg_current_xact_id()::text::bigint + 1000000)::text::xid8`,
  );
  expect((await ask(id)).restored).toMatch(/another PostgreSQL cluster/);
});

test('a filed slow call is being handled as long as a daemon runs the consumer', async () => {
  const release = Promise.withResolvers<void>();
  const daemon = await tail({ ...c, handle: () => release.promise });
  const id = await one('k');
  await database.query(
    `insert into pgwatch.delivery
       (consumer_id, notification_id, state, key, attempts, next_attempt_at, called_attempt,
        is_suspect)
     values ('c', $1, 'retry', 'k', 1, now() + interval '5 minutes', 1, true)`,
    [id],
  );
  const [reason] = await reasons(id);
  expect(reason).toMatchObject({ code: 'under_way', attempt: 1 });
  const { consumers } = await readStatus(client, 'pgwatch', ['c']);
  expect(consumers[0]).toMatchObject({ retrying: 0, blocked: 0 });
  release.resolve();
  await daemon.stop();
  await database.query(`update pgwatch.consumer_progress set done_id = 0 where consumer_id = 'c'`);
  expect(await codes(id)).toEqual(['not_running', 'due']);
});
