import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { IS_PAUSED } from './progress.ts';

/** What is still waiting in a consumer, and for what. */
export type LeftUndone = {
  consumerId: string;
  /** Deliveries that wait for a retry, and when the first is due. */
  retrying: number;
  nextAttemptAt: Date | null;
  /** Deliveries that wait for those. */
  blocked: number;
  isPaused: boolean;
  pausedUntil: Date | null;
  /** Another live daemon that runs it. */
  runner: { host: string; pid: number } | null;
  /** Notifications that other daemons sharing it are working on. */
  leased: number;
  /** About how many notifications its position has not reached. */
  unread: number;
};

/**
 * Reads what is still waiting in consumers, in the order of their ids.
 * @param reader.daemonId the daemon that asks, which does not count as another daemon
 */
export async function readLeftUndone(
  client: Queryable,
  schema: string,
  { consumerIds, daemonId }: { consumerIds: readonly string[]; daemonId: string },
): Promise<LeftUndone[]> {
  const delivery = qualified(schema, 'delivery');
  const live = qualified(schema, 'live_daemon');
  const { rows } = await client.query(
    `select p.consumer_id as "consumerId", waiting.*, ${IS_PAUSED} as "isPaused",
       case when ${IS_PAUSED} then p.paused_until end as "pausedUntil",
       (select jsonb_build_object('host', host, 'pid', pid) from ${live}
         where daemon_id = p.owner and daemon_id <> $2::uuid) as runner,
       (select coalesce(sum(cardinality(l.notification_ids)), 0)
         from ${qualified(schema, 'lease')} as l
         where l.consumer_id = p.consumer_id and l.owner <> $2::uuid
           and l.owner in (select daemon_id from ${live}))::float8 as leased,
       lag.unread::float8
     from ${qualified(schema, 'consumer_progress')} as p
     cross join lateral (
       select count(*) filter (where state = 'retry')::float8 as retrying,
         min(next_attempt_at) filter (where state = 'retry') as "nextAttemptAt",
         count(*) filter (where state = 'blocked')::float8 as blocked
       from ${delivery} as d where d.consumer_id = p.consumer_id
     ) as waiting
     join ${qualified(schema, 'consumer_lag')}($1) as lag on lag.consumer_id = p.consumer_id
     where p.consumer_id = any($1)
     order by 1`,
    [consumerIds, daemonId],
  );
  return rows as LeftUndone[];
}
