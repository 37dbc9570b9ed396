import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ClientBase } from 'pg';
import { describe, expect, test } from 'vitest';
import { pauseConsumer, resumeConsumer } from '../../src/log/by-hand/pause.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { lockSharedConsumer, shareConsumer } from '../../src/log/leases/lease.ts';
import { readSharedPosition } from '../../src/log/leases/shared-position.ts';
import { readOwners } from '../../src/log/positions/daemons.ts';
import { takeOver } from '../../src/log/positions/progress.ts';
import {
  collecting,
  runOnce as runThroughDoor,
  startTailing,
  useDaemons,
} from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import type { TestDefinition } from '../helpers/doors/doors.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

// A heartbeat would notice nothing in time.
const database = useDatabase({ heartbeatInterval: '60s' });
const { start, tail } = useDaemons(database);

const publish = (...values: number[]) =>
  database.query(
    `select smart_notify('c', to_jsonb(n), key => n::text) from unnest($1::int[]) as n`,
    [values],
  );
const pause = (until: Date | number | null = null, consumerId = 'c') =>
  pauseConsumer(database.pool, 'pgwatch', { consumerId, until });
const resume = () => resumeConsumer(database.pool, 'pgwatch', { consumerId: 'c' });
const owner = async () =>
  (await database.query(`select owner from pgwatch.consumer_progress where consumer_id = 'c'`))
    .rows[0].owner;

/** A consumer whose calls each wait until they are released. */
function gated(more: object = {}) {
  const [begun, done]: [number[], number[]] = [[], []];
  const gates = new Map<number, () => void>();
  const handle = async ({ payload }: { payload: unknown }) => {
    const n = payload as number;
    begun.push(n);
    await new Promise<void>((resolve) => gates.set(n, resolve));
    done.push(n);
  };
  const letGo = (n: number) => (gates.get(n) as () => void)();
  return { begun, done, letGo, definition: { id: 'c', channels: ['c'], handle, ...more } };
}

describe('a consumer that one process runs', () => {
  test('finishes its call, is released, and continues there when it is resumed', async () => {
    const { begun, done, letGo, definition } = gated();
    const other = collecting({ id: 'other' });
    const daemon = await tail(definition, other.definition);
    await publish(1, 2, 3);
    await until('one is being handled', () => begun.length === 1);
    await pause();
    await daemon.transitions.for({ type: 'consumer_paused', consumerId: 'c' });
    expect(await owner()).not.toBeNull();
    letGo(1);
    await daemon.transitions.for({ type: 'consumer_released', consumerId: 'c' });
    expect(await owner()).toBeNull();
    // The tail continues for the other one.
    await publish(4);
    await until('the other has it', () => other.seen.length === 4);
    expect([begun, done]).toEqual([[1], [1]]);
    expect(await resume()).toBe(true);
    for (const n of [2, 3, 4]) {
      await until(`${n} is being handled`, () => begun.includes(n));
      letGo(n);
    }
    await until('all are done', () => done.length === 4);
    expect(done).toEqual([1, 2, 3, 4]);
    expect(daemon.reports.filter((line) => /c (is paused|resumes)/.test(line))).toHaveLength(2);
  });

  test('is not taken by another process, not even by one that starts later', async () => {
    const first = collecting();
    const second = collecting();
    const owning = await tail(first.definition);
    const standby = start(second.definition);
    await standby.transitions.for({ type: 'consumer_standby' });
    await pause();
    await owning.transitions.for({ type: 'consumer_released' });
    // Watching one process shows the transitions of all; the reports tell them apart.
    await until('the standby knows', () => standby.reports.some((line) => /paused/.test(line)));
    await owning.stop();
    const third = start(collecting().definition);
    await until('the third knows', () => third.reports.some((line) => /paused/.test(line)));
    await publish(1);
    expect([await owner(), first.seen, second.seen]).toEqual([null, [], []]);
    await resume();
    await until('it has an owner', async () => (await owner()) !== null);
  });

  test('resumes by itself when the pause has expired', async () => {
    const { seen, definition } = collecting();
    const daemon = await tail(definition);
    const paused = await pause(1500);
    await daemon.transitions.for({ type: 'consumer_released' });
    await publish(1);
    await until('it is delivered', () => seen.length === 1, 5000);
    const { rows } = await database.query('select clock_timestamp() > $1 as is_over', [
      paused?.pausedUntil,
    ]);
    expect(rows).toEqual([{ is_over: true }]);
    // Nothing is left to resume.
    expect(await resume()).toBe(false);
  });

  test('gets no retry meanwhile', async () => {
    const failingOnce = (id: string) => {
      const calls: number[] = [];
      const handle = ({ attempt }: { attempt: number }) => {
        calls.push(attempt);
        if (attempt === 1) throw new Error('not yet');
      };
      const retry = { attempts: 5, backoff: () => 300 };
      return { calls, definition: { id, channels: [id], handle, retry } };
    };
    const [paused, other] = [failingOnce('c'), failingOnce('other')];
    const daemon = await tail(paused.definition, other.definition);
    await publish(1);
    await daemon.transitions.for({ type: 'handler_failed' });
    await pause();
    await daemon.transitions.for({ type: 'consumer_released' });
    await database.query(`select smart_notify('other', '1')`);
    // It fails later, so the first one is due by then, too.
    await until('the other is called again', () => other.calls.length === 2);
    expect(paused.calls).toEqual([1]);
    await resume();
    await until('it is called again', () => paused.calls.length === 2);
  });

  test('whose handler outlives a lost session is released, and not run again', async () => {
    const { begun, letGo, definition } = gated();
    const daemon = await tail(definition);
    await publish(1, 2);
    await until('one is being handled', () => begun.length === 1);
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'pgwatch control' and datname = current_database()`,
    );
    await daemon.transitions.for({ type: 'disconnected' });
    await pause();
    await daemon.transitions.for({ type: 'consumer_paused' });
    letGo(1);
    await until('it has no owner', async () => (await owner()) === null);
    expect(begun).toEqual([1]);
    await resume();
    await daemon.transitions.for({ type: 'consumer_owned' }, 2);
  });

  test('that is paused between the look and the takeover is not taken over', async () => {
    await (await startTailing(database.config, [collecting().definition])).stop();
    const client = await database.connect();
    const [state] = await readOwners(client, 'pgwatch');
    assert(state && !state.isPaused);
    await pause();
    const claim = { consumerId: 'c', channels: ['c'], owner: SOMEBODY, seenEpoch: state.epoch };
    expect(await takeOver(client, 'pgwatch', claim)).toBeNull();
    expect(await owner()).toBeNull();
    // The wrong variant, which trusts the look, takes it over.
    expect(await takeOver(withoutTheCheck(client), 'pgwatch', claim)).not.toBeNull();
    expect(await owner()).toBe(SOMEBODY);
  });
});

describe('a shared consumer', () => {
  const shared = { instances: 'shared', order: 'none', concurrency: 2 } as const;

  test('starts nothing more, returns what it holds, and loses nothing', async () => {
    const { begun, done, letGo, definition } = gated(shared);
    const daemon = await tail(definition);
    const all = Array.from({ length: 20 }, (_, index) => index + 1);
    await publish(...all);
    await until('two are being handled', () => begun.length === 2);
    await pause();
    await daemon.transitions.for({ type: 'consumer_paused' });
    for (const n of [...begun]) letGo(n);
    const held = async () =>
      (await database.query('select from pgwatch.lease where owner is not null')).rowCount;
    await until('nothing is held', async () => (await held()) === 0);
    await publish(21);
    expect(begun).toHaveLength(2);
    await resume();
    for (const total of all.slice(2)) {
      await until(`${total + 1} have begun`, () => begun.length > total - 1);
      for (const n of begun.filter((each) => !done.includes(each))) letGo(n);
    }
    await until('the last has begun', () => begun.length === 21);
    for (const n of begun.filter((each) => !done.includes(each))) letGo(n);
    await until('all are done', () => done.length === 21);
    expect([...done].sort((a, b) => a - b)).toEqual([...all, 21]);
  });

  test('grants no lease after the pause is committed', async () => {
    await tail(collecting(shared).definition);
    const client = await database.connect();
    const { channels } = makeConsumer(collecting(shared).definition);
    const reader = { consumerId: 'c', channels, isOrdered: true, daemonId: randomUUID() };
    const take = async (queryable: ClientBase) => {
      await client.query('begin');
      await lockSharedConsumer(client, 'pgwatch', 'c');
      const position = await readSharedPosition(queryable, 'pgwatch', reader);
      await client.query('rollback');
      return position;
    };
    await until('it is shared', async () => (await take(client)) !== null || 'not yet');
    await pause();
    expect(await take(client)).toBeNull();
    expect(await take(withoutTheCheck(client))).not.toBeNull();
    expect(await shareConsumer(client, 'pgwatch', reader)).toEqual({ is: 'paused', until: null });
  });
});

describe('a run with --once', () => {
  const onceTest = handlersOnly('subscribe() has no once');
  const runOnce = (definition: TestDefinition) => runThroughDoor(database.config, definition);

  onceTest.for(some(['one', 'shared'] as const))(
    'leaves a paused consumer alone: %s',
    async (instances) => {
      const { seen, definition } = collecting({ from: 'start', instances });
      await publish(1);
      await runOnce(definition).ended;
      await pause();
      await publish(2);
      const { ended, reports } = runOnce(definition);
      await expect(ended).rejects.toThrow('1 notification unread, and it is paused until "pgwatch');
      expect(seen).toEqual([1]);
      expect(reports.join('')).toContain('c is paused until "pgwatch consumers resume c"');
    },
  );

  /** Runs once, and pauses the consumer while its first notification is being handled. */
  const pausedDuring = async (instances: 'one' | 'shared') => {
    const { begun, letGo, definition } = gated({ from: 'start', instances });
    await publish(1, 2);
    const { ended, reports } = runOnce(definition);
    await until('one is being handled', () => begun.length === 1);
    await pause();
    await until('it is known', () => reports.some((line) => line.includes('is paused')));
    return { begun, letGo, ended };
  };

  onceTest.for(some(['one', 'shared'] as const))(
    'ends when it is paused: %s',
    async (instances) => {
      const { begun, letGo, ended } = await pausedDuring(instances);
      letGo(begun[0] as number);
      await expect(ended).rejects.toThrow('1 notification unread, and it is paused until');
      expect(begun).toHaveLength(1);
    },
  );

  const shortened = 'because it was paused, moved or taken over during the run';

  onceTest.for(some(['one', 'shared'] as const))(
    'fails if it was paused for a while, and has left something: %s',
    async (instances) => {
      const { begun, letGo, ended } = await pausedDuring(instances);
      await resume();
      letGo(begun[0] as number);
      await expect(ended).rejects.toThrow(`1 notification unread, ${shortened}`);
    },
  );

  onceTest('fails if its position was moved back meanwhile', async () => {
    const gate = Promise.withResolvers<void>();
    let calls = 0;
    const handle = async () => {
      calls += 1;
      await gate.promise;
    };
    await publish(1, 2);
    const { ended } = runOnce({ id: 'c', channels: ['c'], handle });
    await until('one is being handled', () => calls === 1);
    const client = await database.connect();
    const how = { seenEpoch: await epochOf(client), mode: 'live' } as const;
    await seekPosition(client, 'pgwatch', { consumerId: 'c', to: 'start', ...how });
    gate.resolve();
    await expect(ended).rejects.toThrow(`2 notifications unread, ${shortened}`);
  });
});

async function epochOf(client: ClientBase): Promise<number> {
  const { rows } = await client.query(
    `select epoch::float8 from pgwatch.consumer_progress where consumer_id = 'c'`,
  );
  return rows[0].epoch;
}

test('pausing again keeps the start and sets the end; a past time is refused', async () => {
  await (await startTailing(database.config, [collecting().definition])).stop();
  const first = await pause();
  expect(first?.pausedUntil).toBeNull();
  const later = new Date(Date.now() + 60_000);
  expect(await pause(later)).toEqual({ pausedAt: first?.pausedAt, pausedUntil: later });
  await expect(pause(new Date(Date.now() - 60_000))).rejects.toThrow(/has passed/);
  expect(await pause(null, 'unknown')).toBeNull();
  expect([await resume(), await resume()]).toEqual([true, false]);
});

/** The same client, without one condition. */
function withoutTheCheck(client: ClientBase): ClientBase {
  const query = (text: string, values: unknown[]) => {
    const wrong = text.replace(
      /and not coalesce\(paused_until > clock_timestamp\(\), paused_at is not null\)/,
      '',
    );
    assert.notEqual(wrong, text);
    return client.query(wrong, values);
  };
  return { query } as unknown as ClientBase;
}

const SOMEBODY = '00000000-0000-0000-0000-000000000002';
