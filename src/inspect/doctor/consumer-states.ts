import type { Client } from 'pg';
import { qualified } from '../../database/names.ts';
import { HAS_FAILED } from '../../log/deliveries/standing.ts';
import { IS_PAUSED } from '../../log/positions/progress.ts';
import { isRunSql, isStoppedSql } from '../../log/positions/running-sql.ts';
import type { Context } from './check.ts';

/** How a consumer stands. */
export type ConsumerHealth = {
  id: string;
  /** A daemon that is alive has it among those it runs, or would take over. */
  isRun: boolean;
  isPaused: boolean;
  /** A daemon runs it, and hands nothing new out: onDead is 'stop'. */
  isStopped: boolean;
  pausedAt: Date | null;
  pausedUntil: Date | null;
  idleMs: number;
  /** Where nobody runs it; those that are leased count. */
  unread: number;
  isExact: boolean;
  dead: number;
  /** What failed: it waits for a retry, or behind one. */
  waiting: number;
  /** What has not failed, and is to be handed out once more because somebody asked for it. */
  replaying: number;
  /** By how much the oldest retry is late. */
  lateMs: number | null;
  late: number;
  /** Of them, those in leases of daemons that are gone. */
  leased: number;
};

/** Reads how all consumers stand, in order of their ids. */
export async function readStates(
  client: Client,
  { config, limits }: Context,
): Promise<ConsumerHealth[]> {
  const table = (name: string) => qualified(config.schema, name);
  const { rows } = await client.query<ConsumerHealth>(
    `with consumer as (
       select *, ${isRunSql(config.schema, 'p')} as is_run, ${IS_PAUSED} as is_paused,
         ${isStoppedSql(config.schema, 'p')} as is_stopped
       from ${table('consumer_progress')} as p
     )
     select c.consumer_id as id, is_run as "isRun", is_paused as "isPaused", is_stopped as "isStopped", paused_at as "pausedAt",
       paused_until as "pausedUntil", extract(epoch from now() - saved_at)::float8 * 1000 as "idleMs",
       coalesce(u.unread, 0)::float8 as unread, coalesce(u.is_exact, true) as "isExact", d.dead, d.waiting, d.replaying, d.late,
       extract(epoch from now() - d.due_at)::float8 * 1000 as "lateMs",
       (select coalesce(sum(cardinality(notification_ids)), 0)::integer from ${table('lease')} as l
         where l.consumer_id = c.consumer_id and kind <> 'retry' and owner is not null
           and not exists (select from ${table('live_daemon')} where daemon_id = l.owner)) as leased
     from consumer as c
     left join lateral (
       select unread, is_exact from ${table('consumer_lag')}(array[c.consumer_id]) where not is_run and not is_paused
     ) as u on true
     cross join lateral (
       select count(*) filter (where state = 'dead')::integer as dead,
         count(*) filter (where state <> 'dead' and ${HAS_FAILED})::integer as waiting,
         count(*) filter (where state <> 'dead' and not ${HAS_FAILED})::integer as replaying,
         count(*) filter (where state = 'retry' and next_attempt_at < now() - $1 * interval '1 ms')::integer as late,
         min(next_attempt_at) filter (where state = 'retry') as due_at
       from ${table('delivery')} as d where d.consumer_id = c.consumer_id
     ) as d
     order by c.consumer_id`,
    [limits.retryLateMs],
  );
  return rows;
}

/** Whether there is any daemon that is alive. */
export async function isAnyAlive(client: Client, { config }: Context): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from ${qualified(config.schema, 'live_daemon')} limit 1`,
  );
  return rowCount === 1;
}
