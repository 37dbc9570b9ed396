import { expect, test } from 'vitest';
import type { ConsumerContext, ConsumerDefinition } from '../../src/consumers/define.ts';
import { withConnection } from '../../src/database/connect.ts';
import { underWay } from '../../src/log/deliveries/delivery.ts';
import { recordAttempts, settleLeases } from '../../src/log/leases/settle.ts';
import { readSharedPosition } from '../../src/log/leases/shared-position.ts';
import { insertLeases } from '../../src/log/leases/take.ts';
import type { Notification } from '../../src/log/notification.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { SERVER } from '../../src/log/positions/server-sql.ts';
import { useDaemons } from '../helpers/daemon.ts';
import { restartServer, useIsolatedServer } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { NOBODY, seize } from '../helpers/owner.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const partTest = filesOnly('it tests parts of the daemon');

/*
Goal: a notification whose handler crashes the server becomes a dead letter, although the crash
takes the control connection along; a server restart costs no attempt; and what was reached before a
crash is not saved after it, because ids and xids are assigned again.
Method: handlers kill (-9) their backends, after which the server restarts by itself.
*/

const database = useIsolatedServer();
const { tail } = useDaemons(database);

async function run(
  rest: Partial<ConsumerDefinition>,
  meet: (context: ConsumerContext) => Promise<void>,
) {
  const calls: number[] = [];
  const done = new Set<unknown>();
  const consumer = {
    id: 'c',
    channels: ['c'],
    async handle({ payload, attempt }: Notification, context: ConsumerContext) {
      if (payload === 'poison') {
        calls.push(attempt);
        await meet(context);
      }
      done.add(payload);
    },
    ...rest,
  } as ConsumerDefinition & { id: string };
  const daemon = await tail(consumer);
  return { daemon, calls, done };
}

const publish = () =>
  database.query(
    `select smart_notify('c', p::jsonb) from unnest('{1,"\\"poison\\"",2}'::text[]) as p`,
  );

async function states(): Promise<string[]> {
  const query = 'select state from pgwatch.delivery';
  const { rows } = await database.query(query).catch(() => ({ rows: [{ state: 'unknown' }] }));
  return rows.map(({ state }) => state);
}

test.each<[string, Partial<ConsumerDefinition>]>(
  some([
    ['in a transaction', { transaction: true }],
    ['shared in a transaction', { transaction: true, instances: 'shared' }],
    ['owned', {}],
    ['shared', { instances: 'shared' }],
  ]),
)(
  '%s: a notification whose handler crashes the server becomes a dead letter',
  {
    timeout: 60_000,
  },
  async (_, rest) => {
    const { calls, done } = await run(
      { ...rest, retry: { attempts: 2, backoff: () => 1 } },
      async ({ db }) => {
        const { rows } = await db.query<{ pid: number }>('select pg_backend_pid() as pid');
        process.kill(rows[0]?.pid ?? 0, 'SIGKILL');
        await db.query('select pg_sleep(5)');
      },
    );
    await publish();
    const isDead = async () => {
      const found = await states();
      return (found.length === 1 && found[0] === 'dead') || `${found}, called ${calls}`;
    };
    await until('it is a dead letter', isDead, 40_000);
    await until('the others are done', () => done.has(1) && done.has(2));
    // Two that count, and those that could not be attributed to it.
    expect(calls.length).toBeLessThanOrEqual(4);
    expect(calls.at(-1)).toBe(2);
  },
);

test.each(
  some([
    ['in a transaction', { transaction: true }],
    ['shared in a transaction', { transaction: true, instances: 'shared' as const }],
    ['owned', {}],
    ['shared', { instances: 'shared' as const }],
  ]),
)('%s: a restart of the server spends no attempt', { timeout: 60_000 }, async (_, rest) => {
  const called = Promise.withResolvers<void>();
  const { daemon, done } = await run({ ...rest, retry: { attempts: 1 } }, async ({ db }) => {
    called.resolve();
    await db.query('select pg_sleep(1)');
  });
  await publish();
  await called.promise;
  await database.server.stop();
  await daemon.transitions.for({ type: 'disconnected' });
  await restartServer(database);
  await until('all are done', async () => {
    const isDone = done.has('poison') && done.has(1) && done.has(2);
    return isDone || `${[...done]} are, filed: ${await states()}`;
  });
  await until('nothing is filed', async () => (await states()).length === 0);
});

/** Kills one process of the server, which drops all connections, and waits for recovery. */
async function crash(): Promise<void> {
  const { rows } = await database.query('select pg_backend_pid() as pid');
  process.kill(rows[0].pid, 'SIGKILL');
  await until('the server has crashed', () =>
    database.query('select pg_sleep(0.01)').then(
      () => false,
      () => true,
    ),
  );
  await until('it has recovered', () =>
    database.query('select 1').then(
      () => true,
      () => false,
    ),
  );
}

partTest(
  'positions and leases from before a crash are not saved after it; new ones are',
  async () => {
    await addConsumers(database, ['c', 'shared']);
    const { rows: sharedRows } = await database.query(
      `update pgwatch.consumer_progress set is_shared = true
     where consumer_id = 'shared' returning channels`,
    );
    const reader = {
      consumerId: 'shared',
      channels: sharedRows[0].channels,
      isOrdered: true,
      daemonId: NOBODY,
    };
    const scope = { consumerId: 'shared', isOrdered: true };
    const take = async () => {
      const client = await database.connect();
      const { position, ...claim } = await seize(client, { consumerId: 'c', channels: ['c'] });
      const fresh = { kind: 'page' as const, slot: null, notificationIds: [7] };
      const taking = { consumerId: 'shared', daemonId: NOBODY, isStopping: false, count: 1 };
      const leases = await insertLeases(client, 'pgwatch', 'shared', [fresh], taking);
      const shared = await readSharedPosition(client, 'pgwatch', reader);
      return { claim, position, leases, server: shared?.given.server };
    };
    const settle = async ({ claim, position, leases }: Awaited<ReturnType<typeof take>>) => {
      const client = await database.connect();
      const save = { ...claim, position: { ...position, doneId: position.doneId + 1 } };
      const { savedIds } = await savePositions(client, 'pgwatch', [save]);
      const change = underWay({ id: 7, key: null, attempt: 1 }, 0);
      const isRecorded = await recordAttempts(client, 'pgwatch', scope, leases, [change]);
      const rests = leases.map((lease) => ({ ...lease, notificationIds: [] }));
      return [savedIds.size, isRecorded, await settleLeases(client, 'pgwatch', NOBODY, rests)];
    };
    const before = await take();
    await crash();
    expect(await settle(before)).toEqual([0, false, false]);
    const behind = await take();
    expect(behind.server).not.toBe(before.server);
    expect(await settle(behind)).toEqual([1, true, true]);
  },
);

partTest('databases of one server count as different servers', async () => {
  const url = new URL(database.url);
  url.pathname = '/template1';
  const text = `select ${SERVER} as server`;
  const here = await database.query(text);
  const there = await withConnection({ url: url.href }, (client) => client.query(text));
  expect(there.rows[0].server).not.toBe(here.rows[0].server);
});

/** Before version 15, the reset becomes visible after a delay. */
async function resetStatistics(): Promise<void> {
  const read = () => database.query(`select ${SERVER} as server`);
  const { rows } = await read();
  await database.query(`select pg_stat_reset_shared('bgwriter')`);
  await until('they are reset', async () => (await read()).rows[0].server !== rows[0].server);
}

test('after a reset of statistics consumers are only taken over again', async () => {
  const seen: string[] = [];
  const consumers = (['one', 'shared'] as const).map((instances) => ({
    id: instances,
    channels: ['c'],
    instances,
    handle: ({ payload }: Notification) => void seen.push(`${instances} ${payload}`),
  }));
  const daemon = await tail(...consumers);
  for (const n of [1, 2]) {
    await resetStatistics();
    await database.query(`select smart_notify('c', to_jsonb($1::int))`, [n]);
    const calls = [`one ${n}`, `shared ${n}`];
    await until('both are called', () => calls.every((call) => seen.includes(call)));
    await daemon.transitions.for({ type: 'consumer_owned', epoch: n + 1 });
    await until('everything is settled', async () => {
      const { rows } = await database.query(
        `select count(*)::int from pgwatch.consumer_progress
         where done_id = (select max(id) from pgwatch.notification_log)`,
      );
      const leases = await database.query('select from pgwatch.lease');
      return rows[0].count === 2 && leases.rowCount === 0;
    });
  }
  expect(daemon.reports.filter((line) => /error/.test(line))).toEqual([]);
});
