import type { Client, ClientBase } from 'pg';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Consumer } from '../../src/consumers/define.ts';
import { takeConsumer } from '../../src/daemon/owned/takeover.ts';
import { withTransaction } from '../../src/database/transaction.ts';
import { makeDue } from '../../src/log/by-hand/due-now.ts';
import { removeConsumer } from '../../src/log/by-hand/remove-consumer.ts';
import { renameConsumer } from '../../src/log/by-hand/rename-consumer.ts';
import { cancelReplays, fileReplay } from '../../src/log/by-hand/replay-file.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { applyChanges } from '../../src/log/deliveries/apply-changes.ts';
import { takeBackAttempts } from '../../src/log/deliveries/attempts.ts';
import { mendClockBack } from '../../src/log/deliveries/clock-back.ts';
import { suspectAll, unblockAll } from '../../src/log/deliveries/standing.ts';
import { wakeOrphans } from '../../src/log/deliveries/wake-orphans.ts';
import { changeOrder } from '../../src/log/leases/order.ts';
import {
  absorbLeases,
  freeLeases,
  type LeaseRest,
  settleLeases,
} from '../../src/log/leases/settle.ts';
import { SERVER } from '../../src/log/positions/server-sql.ts';
import { changeDead } from '../helpers/change-dead.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addShared } from '../helpers/deliveries.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: no two transactions on the work of a consumer can deadlock, because all of them lock the
position, the leases and the deliveries in this order, leases and deliveries by their ids.
Method: another session holds the first row. What a transaction holds while it waits for that row
must not be a later one. The rows are stored in the opposite order, and found without an index.
*/

const database = useDatabase();
const DAEMON = '00000000-0000-0000-0000-000000000001';
const SCOPE = { consumerId: 'c', isOrdered: true };
let client: Client;
let holder: Client;
let ids: number[] = [];
let leaseIds: number[] = [];

beforeAll(async () => {
  client = await database.connect();
  holder = await database.connect();
  await client.query('set enable_indexscan = off; set enable_bitmapscan = off');
});

beforeEach(async () => {
  await emptyLog(database);
  await addShared(database, { id: 'c', channels: ['c'] });
  ids = [];
  for (let n = 0; n < 6; n++) ids.push(await publish(database, n, { channel: 'c', key: 'k' }));
});

// A failed test may have left its transaction open.
afterEach(() => holder.query('rollback'));

/** Files three notifications, from the last to the first. */
async function file(values: string): Promise<void> {
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, key, next_attempt_at,
       attempts, called_attempt, is_suspect, replayed_at, last_failed_at)
     select 'c', id, ${values} from unnest($1::bigint[]) as n (id) order by n.id desc`,
    [ids.slice(0, 3)],
  );
}

/** Leases of one notification each, stored from the last to the first. */
async function lease(kind: string, owner: string | null = DAEMON): Promise<void> {
  const { rows } = await database.query(
    `insert into pgwatch.lease (lease_id, consumer_id, notification_ids, kind, owner)
     overriding system value
     select 1000 + place, 'c', array[id], $2, $3
     from unnest($1::bigint[]) with ordinality as n (id, place) order by place desc
     returning lease_id::float8 as id`,
    [ids.slice(0, 3), kind, owner],
  );
  leaseIds = rows.map(({ id }) => id).sort();
}

async function untilWaiting(sessions: number): Promise<void> {
  await until('they wait', async () => {
    const { rows } = await database.query(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rows[0].count === sessions || `${rows[0].count} of ${sessions} wait`;
  });
}

/** The ids of the rows that no session has locked. */
async function freeRows(table: keyof typeof IDS): Promise<number[]> {
  const { rows } = await database.query(
    `select ${IDS[table]}::float8 as id from pgwatch.${table} order by 1 for update skip locked`,
  );
  return rows.map((row) => row.id);
}

const IDS = { delivery: 'notification_id', lease: 'lease_id' };

/** Runs the work while another session holds the first row, and tells what is free meanwhile. */
async function freeDuring(
  table: keyof typeof IDS,
  work: (client: ClientBase) => Promise<unknown>,
): Promise<{ leases: number[]; deliveries: number[] }> {
  await holder.query('begin');
  await holder.query(`select from pgwatch.${table} order by ${IDS[table]} limit 1 for update`);
  const working = withTransaction(client, () => work(client));
  working.catch(() => {});
  try {
    await untilWaiting(1);
    return { leases: await freeRows('lease'), deliveries: await freeRows('delivery') };
  } finally {
    await holder.query('rollback');
    await working;
  }
}

const CONSUMER = { id: 'c', channels: ['c'], order: 'key' } as unknown as Consumer;
const RETRIES = `'retry', 'k', clock_timestamp(), 1, 1, true, null, clock_timestamp()`;
const BLOCKED = `'blocked', null, null, 0, null, false, null, null`;
const DEAD = `'dead', 'k', null, 1, null, false, null, clock_timestamp()`;
const AHEAD = `'retry', 'k', clock_timestamp() + interval '1 day', 0, null, false, null, null`;
const REPLAYED = `'retry', null, clock_timestamp(), 0, null, false, clock_timestamp(), null`;

async function readEpoch(): Promise<number> {
  const { rows } = await database.query(
    'select epoch::float8 as epoch from pgwatch.consumer_progress',
  );
  return rows[0].epoch;
}

const takeOver = async (c: ClientBase) =>
  takeConsumer(c, 'pgwatch', CONSUMER, {
    daemonId: DAEMON,
    seenEpoch: await readEpoch(),
    isDoubted: false,
    excused: [],
    isSkipping: false,
  });

const seek = async (c: ClientBase) =>
  seekPosition(c, 'pgwatch', {
    consumerId: 'c',
    to: 'start',
    seenEpoch: await readEpoch(),
    mode: 'live',
  });

const done = (id: number) => ({ notificationId: id, key: 'k', state: 'done' }) as const;
const retry = (id: number) =>
  ({ notificationId: id, key: 'k', state: 'retry', attempts: 1, delayMs: 0, error: null }) as const;

const DELIVERIES: Record<string, [string, (client: ClientBase) => Promise<unknown>]> = {
  'settling what is done': [
    RETRIES,
    (c) => applyChanges(c, 'pgwatch', SCOPE, ids.slice(0, 3).reverse().map(done)),
  ],
  'settling a success after a failure': [
    RETRIES,
    (c) => applyChanges(c, 'pgwatch', SCOPE, [done(ids[2] as number), retry(ids[0] as number)]),
  ],
  'waking the next of each key': [
    BLOCKED.replace('null', 'id::text'),
    (c) =>
      applyChanges(
        c,
        'pgwatch',
        SCOPE,
        ids.slice(3).map((id, place) => ({ ...done(id), key: `${ids[2 - place]}` })),
      ),
  ],
  'unblocking all': [BLOCKED, (c) => unblockAll(c, 'pgwatch', 'c')],
  'waking orphans': [BLOCKED, (c) => wakeOrphans(c, 'pgwatch', 'c')],
  'suspecting all': [RETRIES.replace('true', 'false'), (c) => suspectAll(c, 'pgwatch', 'c')],
  'mending the clock': [AHEAD, (c) => mendClockBack(c, 'pgwatch', ['c'])],
  'taking attempts back': [
    RETRIES,
    (c) => takeBackAttempts(c, 'pgwatch', 'c', new Map(ids.map((id) => [id, 1]))),
  ],
  'taking over': [RETRIES, takeOver],
  'making all due': [AHEAD, (c) => makeDue(c, 'pgwatch', null)],
  'retrying dead letters': [DEAD, (c) => changeDead(c, 'retry')],
  'discarding dead letters': [DEAD, (c) => changeDead(c, 'discard')],
  'cancelling a replay': [REPLAYED, (c) => cancelReplays(c, 'pgwatch', 'c')],
  'moving the position': [RETRIES, seek],
  'renaming the consumer': [
    RETRIES,
    (c) => renameConsumer(c, 'pgwatch', { from: 'c', to: 'next' }),
  ],
  'removing the consumer': [
    RETRIES,
    (c) => removeConsumer(c, 'pgwatch', { consumerId: 'c', isDryRun: false }),
  ],
};

test.each(Object.entries(DELIVERIES))('deliveries are locked in order: %s', async (_, how) => {
  const [values, work] = how;
  await file(values);
  expect((await freeDuring('delivery', work)).deliveries).toEqual(ids.slice(1, 3));
});

const LEASED: Record<string, (client: ClientBase) => Promise<unknown>> = {
  'freeing leases': (c) =>
    freeLeases(c, 'pgwatch', { consumerId: 'c', daemonId: DAEMON, isDead: false }),
  'absorbing leases': (c) => absorbLeases(c, 'pgwatch', 'c'),
};

test.each(Object.entries(LEASED))('leased deliveries are locked in order: %s', async (_, work) => {
  await lease('retry');
  await file(RETRIES);
  expect((await freeDuring('delivery', work)).deliveries).toEqual(ids.slice(1, 3));
});

/** What is left of the leases: nothing of those that are finished. */
async function rests(finishedIds: readonly number[]): Promise<LeaseRest[]> {
  const { rows } = await database.query(`select ${SERVER} as server`);
  return leaseIds.toReversed().map((leaseId) => ({
    leaseId,
    epoch: 0,
    server: rows[0].server,
    notificationIds: finishedIds.includes(leaseId) ? [] : [7],
  }));
}

const LEASES: Record<string, (client: ClientBase) => Promise<unknown>> = {
  'settling finished leases': async (c) =>
    settleLeases(c, 'pgwatch', DAEMON, await rests(leaseIds)),
  'settling open leases': async (c) => settleLeases(c, 'pgwatch', DAEMON, await rests([])),
  'settling some of each': async (c) =>
    settleLeases(c, 'pgwatch', DAEMON, await rests(leaseIds.slice(1))),
  'absorbing all': (c) => absorbLeases(c, 'pgwatch', 'c'),
  'taking over': takeOver,
  'moving the position': seek,
  'filing a replay': (c) =>
    fileReplay(c, 'pgwatch', {
      stretch: { consumerId: 'c', since: null, until: null, channel: null, key: null, ids },
      speed: null,
      max: 10,
    }),
  'cancelling a replay': (c) => cancelReplays(c, 'pgwatch', 'c'),
  'renaming the consumer': (c) => renameConsumer(c, 'pgwatch', { from: 'c', to: 'next' }),
  'removing the consumer': (c) =>
    removeConsumer(c, 'pgwatch', { consumerId: 'c', isDryRun: false }),
};

test.each(Object.entries(LEASES))('leases before deliveries, in order: %s', async (_, work) => {
  await lease('page');
  await file(RETRIES);
  const { leases, deliveries } = await freeDuring('lease', work);
  expect(leases).toEqual(leaseIds.slice(1));
  expect(deliveries).toEqual(ids.slice(0, 3));
});

test('a change of the order locks free leases in order', async () => {
  await lease('page', null);
  await database.query('update pgwatch.consumer_progress set is_ordered = false');
  const change = (c: ClientBase) => changeOrder(c, 'pgwatch', SCOPE);
  expect((await freeDuring('lease', change)).leases).toEqual(leaseIds.slice(1));
});

test('dead letters are not locked before the position', async () => {
  await file(DEAD);
  await holder.query('begin');
  await holder.query('select from pgwatch.consumer_progress for update');
  const changing = changeDead(client, 'retry');
  changing.catch(() => {});
  await untilWaiting(1);
  expect(await freeRows('delivery')).toEqual(ids.slice(0, 3));
  await holder.query('rollback');
  expect((await changing).flat()).toHaveLength(3);
});

test('a seek waits for a process that settles its leases, and neither is a deadlock', async () => {
  await lease('page');
  const settler = await database.connect();
  const seeker = await database.connect();
  await holder.query('begin');
  await holder.query('select from pgwatch.lease where lease_id = $1 for update', [leaseIds[2]]);
  const left = await rests(leaseIds.slice(1));
  const settling = withTransaction(settler, () => settleLeases(settler, 'pgwatch', DAEMON, left));
  await untilWaiting(1);
  const seeking = seek(seeker);
  await untilWaiting(2);
  await holder.query('rollback');
  expect(await Promise.all([settling, seeking])).toMatchObject([true, { doneId: 0 }]);
});
