import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { isReadSql } from '../../log/channels.ts';
import type { ErrorRecord } from '../../log/deliveries/delivery.ts';
import type { DeliveryState } from '../../log/deliveries/filter.ts';
import { sameKeySql } from '../../log/deliveries/key-sql.ts';
import { IS_PAUSED } from '../../log/positions/progress.ts';
import { activitySql, runsSql } from '../../log/positions/running-sql.ts';
import {
  reachedSql,
  readSinceSql,
  settledSql,
  skippedSql,
  wasReadSql,
} from '../../log/positions/settled-sql.ts';
import type { LogEntry } from './presence.ts';

/** A process that runs consumers, or has run them. */
export type Runner = {
  host: string;
  pid: number;
  isLive: boolean;
  /** The state that it reports for the consumer, such as 'tail'; null if it reports none. */
  state: string | null;
  /** Notifications a second. */
  rate: number | null;
};

/** A delivery, with the details of its state. */
export type FoundDelivery = {
  id: number;
  state: DeliveryState;
  attempts: number;
  nextAttemptAt: Date | null;
  isDue: boolean;
  /** Which attempt its handler is being called for, as recorded; null: it is not being called. */
  calledAttempt: number | null;
  isReplay: boolean;
  /** True if it has a copy of the notification. */
  isCopied: boolean;
  firstFailedAt: Date | null;
  lastFailedAt: Date | null;
  lastError: ErrorRecord | null;
};

/** What the database says about one notification and one consumer. */
export type Facts = {
  consumerId: string;
  channels: string[];
  isShared: boolean;
  /** Null: it is not paused. */
  pausedAt: Date | null;
  pausedUntil: Date | null;
  savedAt: Date;
  beganAt: Date;
  registeredAt: Date;
  /** Where the position of the consumer is in the log. */
  reachedId: number;
  isWanted: boolean;
  isSettled: boolean;
  /** It was settled already when the consumer began, or when its position was moved. */
  isSkipped: boolean;
  /** It read the channel when the notification was settled; null if that is not known. */
  wasRead: boolean | null;
  /** From which id and since when it reads the channel, if it did not from the beginning. */
  readSince: { id: number; ms: number } | null;
  isLate: boolean;
  /** How long ago it was written; null if the log does not hold it. */
  ageMs: number | null;
  /** How many notifications of its channels come before it, among those that were counted. */
  ahead: number;
  isExact: boolean;
  delivery: FoundDelivery | null;
  /** When it was discarded as a dead letter; null if it was not. */
  discardedAt: Date | null;
  /** The first waiting notification with its key that comes before it. */
  blocker: FoundDelivery | null;
  lease: { kind: string; runner: Runner | null; earlier: number } | null;
  /** The live processes that run it or want to, and the last owner, even if it has died. */
  runners: Runner[];
};

/**
 * Reads the facts about one consumer, or about all, in order of their ids.
 * @param asked.consumerId null for all consumers
 * @param asked.seenMax how many notifications to read at most, for all consumers together, to
 *   count those that come before it
 */
export async function readFacts(
  client: Queryable,
  schema: string,
  asked: { entry: LogEntry | null; consumerId: string | null; id: number; seenMax: number },
): Promise<Facts[]> {
  const { entry, consumerId, id, seenMax } = asked;
  const { xid = null, channel = null, key = null, createdAt = null } = entry ?? {};
  const values = [id, xid, channel, key, consumerId, createdAt, seenMax];
  const { rows } = await client.query(factsSql(schema), values);
  return (rows as RawFacts[]).map(toFacts);
}

/** As it comes from JSON: times in milliseconds since 1970. */
type RawDelivery = Omit<FoundDelivery, DeliveryTime> & Record<DeliveryTime, number | null>;

type DeliveryTime = 'nextAttemptAt' | 'firstFailedAt' | 'lastFailedAt';

type RawFacts = Omit<Facts, 'delivery' | 'blocker'> &
  Record<'delivery' | 'blocker', RawDelivery | null>;

function toFacts({ delivery, blocker, ...facts }: RawFacts): Facts {
  return { ...facts, delivery: toDelivery(delivery), blocker: toDelivery(blocker) };
}

function toDelivery(raw: RawDelivery | null): FoundDelivery | null {
  if (raw === null) return null;
  const date = (ms: number | null) => (ms === null ? null : new Date(ms));
  return {
    ...raw,
    nextAttemptAt: date(raw.nextAttemptAt),
    firstFailedAt: date(raw.firstFailedAt),
    lastFailedAt: date(raw.lastFailedAt),
  };
}

function factsSql(schema: string): string {
  const [delivery, lease] = [qualified(schema, 'delivery'), qualified(schema, 'lease')];
  const log = qualified(schema, 'notification_log');
  return `
select p.consumer_id as "consumerId", p.channels, p.is_shared as "isShared",
  case when ${IS_PAUSED} then p.paused_at end as "pausedAt",
  p.paused_until as "pausedUntil", p.saved_at as "savedAt", p.began_at as "beganAt",
  p.created_at as "registeredAt", to_jsonb(${reachedSql('p')}) as "reachedId",
  coalesce(${isReadSql(schema, 'p', 'it')}, false) as "isWanted",
  coalesce(${settledSql(schema, 'p', 'it')}, false) as "isSettled",
  coalesce(${skippedSql('p', 'it')}, false) as "isSkipped",
  ${wasReadSql(schema, 'p', 'it')} as "wasRead", ${readSinceSql(schema, 'p', 'it')} as "readSince",
  it.id <= p.done_id as "isLate",
  extract(epoch from clock_timestamp() - $6::timestamptz)::float8 * 1000 as "ageMs",
  before.ahead, before.seen < budget.rows as "isExact",
  (select ${deliveryJson('d')} from ${delivery} as d
    where d.consumer_id = p.consumer_id and d.notification_id = it.id) as delivery,
  (select g.discarded_at from ${qualified(schema, 'discarded')} as g
    where g.consumer_id = p.consumer_id and g.notification_id = it.id) as "discardedAt",
  (select ${deliveryJson('d')} from ${delivery} as d
    where d.consumer_id = p.consumer_id and p.is_ordered and d.notification_id < it.id
      and d.state <> 'dead' and ${sameKeySql('d.key', 'its.key')}
    order by d.notification_id limit 1) as blocker,
  (select jsonb_build_object('kind', l.kind, 'earlier', (
      select count(*) from ${lease} as e
      where e.consumer_id = l.consumer_id and e.slot = l.slot and e.lease_id < l.lease_id),
      'runner', (select ${runnerJson('d')} from ${qualified(schema, 'daemon')} as d
        where d.daemon_id = l.owner))
    from ${lease} as l where l.consumer_id = p.consumer_id and it.id = any(l.notification_ids)
    order by l.lease_id limit 1) as lease,
  coalesce((select jsonb_agg(${runnerJson('d')} order by d.started_at)
    from ${qualified(schema, 'daemon')} as d
    where d.daemon_id = p.owner or (${runsSql('d', 'p')} and ${isLive('d')})
  ), '[]') as runners
from (select $1::bigint as id, $2::xid8 as xid, $3::text as channel, $4::text as key) as it
cross join ${qualified(schema, 'origin')} as origin
cross join lateral (
  select $7::bigint / greatest(count(*), 1) as rows
  from ${qualified(schema, 'consumer_progress')} as p
  where ($5::text is null or p.consumer_id = $5) and ${isAwaitedSql(schema)}
) as budget
cross join ${qualified(schema, 'consumer_progress')} as p
cross join lateral (
  select coalesce(it.key, (select key from ${delivery}
    where consumer_id = p.consumer_id and notification_id = it.id)) as key
) as its
cross join lateral (
  select count(*)::float8 as seen,
    (count(*) filter (where ${isReadSql(schema, 'p', 'log')}
      and not ${settledSql(schema, 'p', 'log')}))::float8 as ahead
  from (
    select id, xid, channel from ${log}
    where ${isAwaitedSql(schema)} and id > ${reachedSql('p')} and id < it.id
    order by id limit budget.rows
  ) as log
) as before
where $5::text is null or p.consumer_id = $5
order by p.consumer_id`;

  function isLive(daemon: string): string {
    return `${daemon}.daemon_id in (select daemon_id from ${qualified(schema, 'live_daemon')})`;
  }

  function runnerJson(daemon: string): string {
    const activity = (field: 'state' | 'rate') => activitySql(daemon, 'p', field);
    return `jsonb_build_object('host', ${daemon}.host, 'pid', ${daemon}.pid,
      'isLive', ${isLive(daemon)}, 'state', ${activity('state')}, 'rate', ${activity('rate')})`;
  }
}

/** True for consumers that still have to read it: only for them, earlier ones are counted. */
function isAwaitedSql(schema: string): string {
  return `${isReadSql(schema, 'p', 'it')} and not ${settledSql(schema, 'p', 'it')}`;
}

function deliveryJson(d: string): string {
  const ms = (column: string) => `extract(epoch from ${d}.${column})::float8 * 1000`;
  return `jsonb_build_object('id', ${d}.notification_id, 'state', ${d}.state,
    'attempts', ${d}.attempts, 'nextAttemptAt', ${ms('next_attempt_at')},
    'isDue', ${d}.next_attempt_at <= clock_timestamp(),
    'calledAttempt', ${d}.called_attempt,
    'isCopied', ${d}.notification is not null,
    'isReplay', ${d}.replayed_at is not null and ${d}.last_failed_at is null,
    'firstFailedAt', ${ms('first_failed_at')}, 'lastFailedAt', ${ms('last_failed_at')},
    'lastError', ${d}.last_error)`;
}
