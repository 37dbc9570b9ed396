import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import type { DaemonActivity } from './activity.ts';
import { IS_PAUSED } from './progress.ts';

/** A process that runs consumers, as other daemons see it. */
export type LiveDaemon = { daemonId: string; consumerIds: string[]; sharedIds: string[] };

/** Who runs a consumer, according to the database. */
export type OwnerState = {
  consumerId: string;
  epoch: number;
  /** The owner if it is alive; null if there is none, or it is dead. */
  liveOwner: string | null;
  /** True if no daemon may run it until pausedUntil or, if that is null, until it is resumed. */
  isPaused: boolean;
  pausedUntil: Date | null;
};

/**
 * Records that the daemon is alive, for a while from now by the server's clock.
 * @param daemon.hasLock true if the connection can hold a session lock: the lock is taken, and the
 *   daemon counts as dead as soon as the connection ends
 */
export async function beat(
  control: Queryable,
  schema: string,
  daemon: {
    daemonId: string;
    host: string;
    pid: number;
    consumerIds: readonly string[];
    sharedIds: readonly string[];
    /** The channels that it reads for each of these consumers. */
    channels: Readonly<Record<string, readonly string[]>>;
    hasLock: boolean;
    aliveMs: number;
    activity: DaemonActivity;
  },
): Promise<void> {
  const { daemonId, host, pid, consumerIds, sharedIds, channels, hasLock, aliveMs, activity } =
    daemon;
  await control.query(
    `insert into ${qualified(schema, 'daemon')} as daemon
       (daemon_id, host, pid, consumer_ids, shared_ids, channels, has_lock, alive_until, activity)
     select $1::uuid, $2, $3, $4, $7, $9::jsonb,
       case when not $5::boolean then false when is_locked then true
         else pg_try_advisory_lock(class, object) end,
       clock_timestamp() + $6 * interval '1 ms', $8::jsonb
     from (
       select ${qualified(schema, 'daemon_class')}() as class, hashtext($1::uuid::text) as object
     ) as lock
     cross join lateral (
       select exists (
         select from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'
           and objsubid = 2 and classid = (class::bigint & 4294967295)::oid
           and objid = (object::bigint & 4294967295)::oid) as is_locked
     ) as held
     on conflict (daemon_id) do update
     set consumer_ids = excluded.consumer_ids, shared_ids = excluded.shared_ids,
       channels = excluded.channels, has_lock = excluded.has_lock,
       alive_until = excluded.alive_until, activity = excluded.activity`,
    [
      daemonId,
      host,
      pid,
      consumerIds,
      hasLock,
      aliveMs,
      sharedIds,
      JSON.stringify(activity),
      JSON.stringify(channels),
    ],
  );
}

/** Removes a daemon that is stopping, and those that have been dead for a day. */
export async function removeDaemon(
  control: Queryable,
  schema: string,
  daemonId: string,
): Promise<void> {
  await control.query(
    `delete from ${qualified(schema, 'daemon')}
     where daemon_id = $1 or alive_until < now() - interval '1 day'`,
    [daemonId],
  );
}

/**
 * Reads the live daemons and the consumers that they may run. A daemon may not run a consumer that
 * a newer version of it reads with other channels.
 */
export async function readLiveDaemons(control: Queryable, schema: string): Promise<LiveDaemon[]> {
  const mayRun = `not ${qualified(schema, 'older_version')}(id, daemon_id)`;
  const { rows } = await control.query(
    `select daemon_id as "daemonId",
       array(select id from unnest(consumer_ids) as id where ${mayRun}) as "consumerIds",
       array(select id from unnest(shared_ids) as id where ${mayRun}) as "sharedIds"
     from ${qualified(schema, 'live_daemon')} order by daemon_id`,
  );
  return rows as LiveDaemon[];
}

/** Reads until when a daemon counts or counted as alive; null if there is none with that id. */
export async function readAliveUntil(
  client: Queryable,
  schema: string,
  daemonId: string | null,
): Promise<Date | null> {
  const { rows } = await client.query<{ aliveUntilMs: string }>(
    `select (extract(epoch from alive_until) * 1000)::bigint::text as "aliveUntilMs"
     from ${qualified(schema, 'daemon')} where daemon_id = $1::uuid`,
    [daemonId],
  );
  return rows[0] ? new Date(Number(rows[0].aliveUntilMs)) : null;
}

/** Reads who runs each registered consumer. */
export async function readOwners(control: Queryable, schema: string): Promise<OwnerState[]> {
  const { rows } = await control.query(
    `select consumer_id as "consumerId", to_jsonb(epoch) as epoch, live.daemon_id as "liveOwner",
       ${IS_PAUSED} as "isPaused", paused_until as "pausedUntil"
     from ${qualified(schema, 'consumer_progress')} as progress
     left join ${qualified(schema, 'live_daemon')} as live on live.daemon_id = progress.owner
     order by consumer_id`,
  );
  return rows as OwnerState[];
}

/** Tells all daemons that something other than the log has changed: who runs what, or retries. */
export async function tellDaemons(
  client: Queryable,
  schema: string,
  news: 'owners' | 'retry',
): Promise<void> {
  // Daemons check on their own now and then, so do not risk a failure when the queue fills up.
  await client.query('select pg_notify($1, $2) where pg_notification_queue_usage() < 0.5', [
    schema,
    `pgwatch:${news}`,
  ]);
}
