import type { Client } from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { readCaptureStates } from '../../src/capture/state.ts';
import { ROLE_KINDS } from '../../src/config/define.ts';
import { connect, withConnection } from '../../src/database/connect.ts';
import { migrateUp, requireCurrentSchema } from '../../src/database/migrate.ts';
import { withTransaction } from '../../src/database/transaction.ts';
import { readCoverage, readRowChanges } from '../../src/inspect/history/read.ts';
import { findSubject } from '../../src/inspect/history/subject.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { pauseConsumer, resumeConsumer } from '../../src/log/by-hand/pause.ts';
import { cancelReplays, fileReplay } from '../../src/log/by-hand/replay-file.ts';
import { countStretch } from '../../src/log/by-hand/replay-stretch.ts';
import { seekPosition } from '../../src/log/by-hand/seek.ts';
import { planSeek } from '../../src/log/by-hand/seek-plan.ts';
import { applyChanges } from '../../src/log/deliveries/apply-changes.ts';
import {
  countDeliveries,
  listConsumerIds,
  listDeliveries,
  readDeliveries,
} from '../../src/log/deliveries/dead-letters.ts';
import { readDue } from '../../src/log/deliveries/due.ts';
import { NO_FILTER } from '../../src/log/deliveries/filter.ts';
import { readStanding, suspectAll } from '../../src/log/deliveries/standing.ts';
import { armDoorbell, disarmDoorbell } from '../../src/log/doorbell.ts';
import { findIdsByEventId, findNotifications } from '../../src/log/find.ts';
import { rebaseLog, requireOwnCluster } from '../../src/log/origin.ts';
import { pageReader } from '../../src/log/page.ts';
import { createPartitions } from '../../src/log/partitions.ts';
import { readNewestPosition } from '../../src/log/positions/beginning.ts';
import {
  beat,
  readLiveDaemons,
  readOwners,
  removeDaemon,
} from '../../src/log/positions/daemons.ts';
import { registerConsumer, releaseOwnership } from '../../src/log/positions/progress.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { notify } from '../../src/log/publish.ts';
import { cleanLog, forgetRemoved } from '../../src/log/retention/clean-log.ts';
import { readPinning } from '../../src/log/retention/pins.ts';
import { planCleanup } from '../../src/log/retention/plan.ts';
import { lockCleanup } from '../../src/log/retention/steps.ts';
import { changeDead } from '../helpers/change-dead.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery } from '../helpers/deliveries.ts';
import { seize } from '../helpers/owner.ts';
import { createRole } from '../helpers/role.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const KINDS = [...ROLE_KINDS, 'nothing'] as const;
type Kind = (typeof KINDS)[number];
type Action = { by: readonly Kind[]; run(client: Client): Promise<unknown> };

const daemon = {
  daemonId: '00000000-0000-0000-0000-000000000002',
  host: 'here',
  pid: 1,
  consumerIds: ['probe'],
  sharedIds: [],
  channels: {},
  hasLock: true,
  aliveMs: 1000,
  activity: { version: '1', mode: 'poll', pollMs: 1, consumers: {} } as const,
};
const probe = { consumerId: 'probe', channels: ['ch'] };
const stretch = { ...probe, since: null, until: null, channel: null, key: null, ids: [1] };
const sql = (text: string) => (client: Client) => client.query(text);
const consume = (run: Action['run']): Action => ({ by: ['consume'], run });
const readable = (run: Action['run']): Action => ({ by: ['consume', 'read'], run });
const forbidden = (text: string): Action => ({ by: [], run: sql(text) });

/** All actions on pgwatch's objects, and the roles that may perform them. */
const ACTIONS: Record<string, Action> = {
  'call smart_notify': { by: ['publish'], run: (client) => notify(client, 'ch', 1) },
  'call smart_notify with an event id': {
    by: ['publish'],
    run: sql(`select smart_notify('ch', '1', 'k', gen_random_uuid())`),
  },
  'publish events': {
    by: ['publish'],
    run: sql(`select smart_notify_many('{ch,ch}', '{1,2}', '{k,null}',
      array[gen_random_uuid(), gen_random_uuid()])`),
  },
  'read the view': readable(sql('select * from pgwatch.notification')),
  'read the positions': readable(sql('select * from pgwatch.consumer_progress')),
  'check the schema': readable((client) => requireCurrentSchema(client, database.config)),
  'check the cluster': readable((client) => requireOwnCluster(client, database.config)),
  'create partitions': consume((client) => createPartitions(client, database.config)),
  'register a consumer': consume((client) =>
    registerConsumer(client, 'pgwatch', { id: 'new', channels: ['ch'], from: 'start' }),
  ),
  'register a consumer from a time': consume((client) =>
    registerConsumer(client, 'pgwatch', { id: 'new', channels: ['ch'], from: new Date() }),
  ),
  'take a consumer over': consume((client) => seize(client, probe)),
  'release a consumer': consume((client) =>
    releaseOwnership(client, 'pgwatch', { ...probe, epoch: 1 }),
  ),
  'save positions': consume(async (client) => {
    const owned = await seize(client, probe);
    const { savedIds } = await savePositions(client, 'pgwatch', [owned]);
    expect([...savedIds]).toEqual([owned.consumerId]);
  }),
  'read a page': readable(async (client) =>
    pageReader('pgwatch')(client, {
      position: await readNewestPosition(client, 'pgwatch'),
      channels: ['ch'],
      limit: { rows: 10, bytes: 1000 },
      rebasedId: 0,
    }),
  ),
  'list captured tables': readable((client) => readCaptureStates(client, database.config)),
  'list dead letters': readable(async (client) => {
    const filter = { ...NO_FILTER, channel: 'ch' };
    expect(await listDeliveries(client, 'pgwatch', { filter, limit: 9 })).toHaveLength(2);
    expect(await countDeliveries(client, 'pgwatch', filter)).toBe(2);
    await listConsumerIds(client, 'pgwatch');
  }),
  'show a dead letter, and one that is still in the log': readable(async (client) => {
    for (const { notification } of await readDeliveries(client, 'pgwatch', NO_FILTER)) {
      expect(notification?.payload).toEqual({ n: 1 });
    }
  }),
  'preview a retry': readable((client) => changeDead(client, 'retry', { isDryRun: true })),
  'retry dead letters': consume((client) => changeDead(client, 'retry')),
  'discard dead letters': consume((client) => changeDead(client, 'discard')),
  'arm the doorbell': consume(async (client) => {
    await armDoorbell(client, 'pgwatch', ['ch']);
    await disarmDoorbell(client, 'pgwatch', ['ch']);
  }),
  'announce a daemon': consume(async (client) => {
    await beat(client, 'pgwatch', daemon);
    await readLiveDaemons(client, 'pgwatch');
    await removeDaemon(client, 'pgwatch', daemon.daemonId);
  }),
  'see the progress of consumers': readable(async (client) => {
    const { consumers } = await readStatus(client, 'pgwatch', null);
    expect(consumers).not.toHaveLength(0);
  }),
  'pause and resume a consumer': consume(async (client) => {
    expect(
      await pauseConsumer(client, 'pgwatch', { consumerId: 'probe', until: null }),
    ).not.toBeNull();
    expect(await resumeConsumer(client, 'pgwatch', { consumerId: 'probe' })).toBe(true);
  }),
  'see the owners of consumers': readable((client) => readOwners(client, 'pgwatch')),
  'file deliveries': consume(async (client) => {
    const scope = { consumerId: 'probe', isOrdered: true };
    const error = { name: 'Error', message: 'x' };
    const change = { notificationId: 1, key: 'k', state: 'dead', attempts: 1, error } as const;
    await applyChanges(client, 'pgwatch', scope, [change, { ...change, notificationId: 2 }]);
    await applyChanges(client, 'pgwatch', scope, [{ ...change, state: 'done' }]);
    await suspectAll(client, 'pgwatch', scope.consumerId);
    await readStanding(client, 'pgwatch', scope);
    await readDue(client, 'pgwatch', [{ ...scope, workingIds: [], isStopping: false }]);
  }),
  'show a notification': readable(async (client) => {
    const eventId = '00000000-0000-8000-8000-000000000000';
    await findIdsByEventId(client, 'pgwatch', { eventId, since: null });
    await findNotifications(client, 'pgwatch', [1]);
  }),
  'read the history of a row': readable(async (client) => {
    const table = { schema: null, name: 'gone' };
    const subject = await findSubject(client, database.config, { table, id: '1', schemas: [] });
    await readCoverage(client, 'pgwatch', subject);
    const period = { since: null, until: null };
    await Array.fromAsync(readRowChanges(client, 'pgwatch', subject, period));
  }),
  'move a position': consume((client) =>
    seekPosition(client, 'pgwatch', { ...probe, to: 'start', seenEpoch: 0, mode: 'live' }),
  ),
  'plan to move a position': readable((client) =>
    planSeek(client, 'pgwatch', { ...probe, to: { by: -1 } }),
  ),
  'replay a stretch': consume(async (client) => {
    await fileReplay(client, 'pgwatch', { stretch, speed: null, max: 10 });
    await cancelReplays(client, 'pgwatch', probe.consumerId);
  }),
  'count a stretch': readable((client) => countStretch(client, 'pgwatch', stretch)),
  'ask why': readable((client) => explain(client, database.config, { id: 1, consumerId: null })),
  'preview a cleanup': readable(async (client) => {
    expect(await planCleanup(client, 'pgwatch', new Date())).not.toEqual([]);
    await readPinning(client, 'pgwatch', ['probe']);
  }),
  'clean up': consume(async (client) => {
    await lockCleanup(client, 'pgwatch');
    expect(await cleanUp(client, 'keep')).toMatchObject([{ outcome: 'pinned' }]);
  }),
  'remove needed notifications': { by: [], run: (client) => cleanUp(client, 'remove') },
  'delete them manually': forbidden(
    `select pgwatch.log_delete('notification_log_default', now(), 0, 9, 9, pg_current_snapshot())`,
  ),
  'empty a partition manually': forbidden(
    `select pgwatch.log_empty('notification_log_default', now(), pg_current_snapshot(), '[]')`,
  ),
  'take leases away': forbidden(`select pgwatch.log_keep('notification_log_default')`),
  'report a gap that does not exist': forbidden(
    `select pgwatch.log_gap_tell('[{"consumer_id": "probe", "count": 1}]')`,
  ),
  'rebase the log': { by: [], run: (client) => rebaseLog(client, 'pgwatch') },
  'write the log': forbidden(
    `insert into pgwatch.notification_log (xid, channel) values (pg_current_xact_id(), 'ch')`,
  ),
  'change the log': forbidden(`update pgwatch.notification_log set payload = '0'`),
  'empty the log': forbidden('truncate pgwatch.notification_log'),
  'delete from the log': forbidden('delete from pgwatch.notification_log'),
  'read a partition': forbidden('select * from pgwatch.notification_log_default'),
  'set the sequence back': forbidden(`select setval('pgwatch.notification_log_id_seq', 1)`),
  'use up ids': forbidden(`select nextval('pgwatch.notification_log_id_seq')`),
  'remove a consumer': forbidden('delete from pgwatch.consumer_progress'),
  'rename a consumer': forbidden(`update pgwatch.consumer_progress set consumer_id = 'stolen'`),
  'change the age of a consumer': forbidden(
    'update pgwatch.consumer_progress set created_at = now()',
  ),
  'move a delivery to another consumer': forbidden(
    `update pgwatch.delivery set consumer_id = 'other'`,
  ),
  'move a delivery to another notification': forbidden(
    'update pgwatch.delivery set notification_id = 9',
  ),
  'move a lease to another consumer': forbidden(`update pgwatch.lease set consumer_id = 'other'`),
  'pose as another daemon': forbidden('update pgwatch.daemon set daemon_id = gen_random_uuid()'),
  'forget published event ids': forbidden('delete from pgwatch.published'),
  'look up a notification by its event id': readable(
    sql('select notification_id from pgwatch.published where event_id is null'),
  ),
  'read all published event ids': forbidden('select * from pgwatch.published'),
  'forge a migration': forbidden(`insert into pgwatch.migration values (999, 'x', 'x')`),
  'move the origin': forbidden('update pgwatch.log_origin set rebased_id = 10'),
  'drop the schema': forbidden('drop schema pgwatch cascade'),
  'create a table in the schema': forbidden('create table pgwatch.mine ()'),
  'replace a function': forbidden(
    `create or replace function smart_notify(channel_name text, payload_data jsonb default '{}',
       key text default null, event_id uuid default null) returns bigint return 1`,
  ),
  'ring without a lock': forbidden(`select pgwatch.doorbell_ring('ch')`),
  'announce a notification that does not exist': forbidden(
    `select pgwatch.notification_announce('ch', 1, now(), '1')`,
  ),
  'capture with a trigger': {
    by: ['capture'],
    run: sql(`create temporary table mine (id int);
      create trigger c after insert on mine for each row execute function notify_data_change()`),
  },
};

async function cleanUp(client: Client, needed: 'keep' | 'remove') {
  const { signal } = new AbortController();
  const cleaning = { schema: 'pgwatch', before: new Date(), needed, patienceMs: 0, signal };
  const cleaned = await Array.fromAsync(cleanLog(client, { ...cleaning, scope: 'all' }));
  await forgetRemoved(client, cleaning);
  return cleaned;
}

beforeAll(async () => {
  await database.query(`select smart_notify('ch', to_jsonb(n)) from generate_series(1, 10) as n`);
  await withConnection(database.config, (client) =>
    registerConsumer(client, 'pgwatch', { id: 'probe', channels: ['ch'], from: 'start' }),
  );
  for (const state of ['dead', 'blocked'] as const) {
    await addDelivery(database, { channel: 'ch', payload: { n: 1 }, state });
  }
});

/**
 * The reason for a refusal; undefined if the action was allowed. The transaction is rolled back.
 */
async function refusal(client: Client, { run }: Action): Promise<string | undefined> {
  let message: string | undefined;
  await withTransaction(client, async () => {
    await run(client).catch((error: Error) => {
      message = error.message;
    });
    throw new Error('undo');
  }).catch(() => {});
  return message;
}

test.each(KINDS)(
  'a role that is granted %s can do exactly that, whatever it tries',
  async (kind) => {
    const { name, url } = await createRole(database, kind);
    const config = {
      ...database.config,
      roles: { publish: [], consume: [], read: [], capture: [] },
    };
    if (kind !== 'nothing') Object.assign(config.roles, { [kind]: [name] });
    await withConnection(config, (client) => migrateUp(client, config));
    const client = await connect({ url });
    try {
      const refusals: Record<string, string> = {};
      for (const [action, definition] of Object.entries(ACTIONS)) {
        refusals[action] = (await refusal(client, definition)) ?? 'allowed';
      }
      const expected = Object.entries(ACTIONS).map(([action, { by }]) => [
        action,
        by.includes(kind)
          ? 'allowed'
          : expect.stringMatching(/permission denied|must be owner|privilege/i),
      ]);
      expect(refusals).toEqual(Object.fromEntries(expected));
    } finally {
      await client.end();
    }
  },
);

test('by default only the owner has any privilege', async () => {
  const { rows } = await database.query(
    `select relname as name, grantee::regrole::text as role, privilege_type as privilege
     from pg_class, aclexplode(relacl)
     where relnamespace = 'pgwatch'::regnamespace and grantee <> relowner`,
  );
  expect(rows).toEqual([]);
});

test('PUBLIC cannot execute any of our functions', async () => {
  const { rows } = await database.query(
    `select p.oid::regprocedure::text as name from pg_proc as p
     where (pronamespace = 'pgwatch'::regnamespace
       or proname in ('smart_notify', 'smart_notify_many', 'notify_data_change'))
       and (proacl is null or exists (select from aclexplode(proacl) where grantee = 0))`,
  );
  expect(rows).toEqual([]);
});

test('a writer without any privilege on the schema is captured all the same', async () => {
  const { name, url } = await createRole(database, 'writer');
  await database.query('create table orders (id int primary key)');
  await database.query(`create trigger c after insert or update or delete on orders
    for each row execute function notify_data_change()`);
  await database.query(`create trigger t after truncate on orders
    for each statement execute function notify_data_change()`);
  await database.query(`grant all on orders to "${name}"`);
  await withConnection({ url }, async (writer) => {
    for (const mode of ['always', 'doorbell', 'off']) {
      await writer.query(`set pgwatch.notify = '${mode}'`);
      await writer.query('insert into orders values (1)');
      await writer.query('update orders set id = id');
      await writer.query('delete from orders');
      await writer.query('truncate orders');
    }
    await expect(writer.query('select * from pgwatch.notification')).rejects.toThrow(
      'permission denied for schema pgwatch',
    );
  });
  const { rows } = await database.query(
    `select action, count(*)::int from pgwatch.notification_log where action is not null
     group by action order by action`,
  );
  expect(rows).toEqual(
    ['DELETE', 'INSERT', 'TRUNCATE', 'UPDATE'].map((action) => ({ action, count: 3 })),
  );
});

test('a daemon needs only the consume role for replay, tail and doorbell', async () => {
  const { name, url } = await createRole(database, 'daemon');
  const roles = { publish: [], consume: [name], read: [], capture: [] };
  const config = { ...database.config, url, roles, pollIntervalMs: 600_000 };
  await withConnection(database.config, (client) => migrateUp(client, config));
  await database.query(
    `select smart_notify('work', to_jsonb(n)) from generate_series(1, 1500) as n`,
  );
  const seen: unknown[] = [];
  const daemon = await startTailing(config, [
    { id: 'worker', channels: ['work'], handle: ({ payload }) => seen.push(payload) },
  ]);
  try {
    expect(seen).toHaveLength(1500);
    await daemon.transitions.for({ type: 'asleep' });
    await database.query(`set pgwatch.notify = 'doorbell'; select smart_notify('work', '"live"')`);
    await until('it arrives', () => seen.at(-1) === 'live');
  } finally {
    await daemon.stop();
  }
  expect(daemon.reports.filter((report) => /warning|error/.test(report))).toEqual([]);
});
