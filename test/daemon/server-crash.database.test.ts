import { afterEach, expect, test } from 'vitest';
import type { ConsumerContext, ConsumerDefinition } from '../../src/consumers/define.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing, type TestDaemon } from '../helpers/daemon.ts';
import { emptyLog, restartServer, useIsolatedServer } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a handler over which the server crashes ends as a dead letter, though it takes the control
connection along; a server that is restarted costs nobody an attempt.
Method: handlers that kill (-9) their backends, at which the server restarts by itself.
*/

const database = useIsolatedServer();
const daemons: TestDaemon[] = [];

afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await emptyLog(database);
});

async function start(
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
  const daemon = await startTailing(database.config, [consumer]);
  daemons.push(daemon);
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

test.each<[string, Partial<ConsumerDefinition>]>([
  ['in a transaction', { transaction: true }],
  ['shared in a transaction', { transaction: true, instances: 'shared' }],
  ['owned', {}],
  ['shared', { instances: 'shared' }],
])('%s: over which the server crashes, it is given up', { timeout: 60_000 }, async (_, rest) => {
  const { calls, done } = await start(
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
  // Two that count, and those that nobody could blame it for.
  expect(calls.length).toBeLessThanOrEqual(4);
  expect(calls.at(-1)).toBe(2);
});

test.each([
  ['in a transaction', { transaction: true }],
  ['shared in a transaction', { transaction: true, instances: 'shared' as const }],
  ['owned', {}],
  ['shared', { instances: 'shared' as const }],
])('%s: a restart of the server spends no attempt', { timeout: 60_000 }, async (_, rest) => {
  const called = Promise.withResolvers<void>();
  const { daemon, done } = await start({ ...rest, retry: { attempts: 1 } }, async ({ db }) => {
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
