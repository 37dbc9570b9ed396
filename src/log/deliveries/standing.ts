import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { safeId } from '../notification.ts';
import type { DeliveryScope } from './delivery.ts';
import { BEHIND_MAX } from './due.ts';
import { sameKeySql } from './key-sql.ts';
import { lockedSql } from './locked-sql.ts';

/** The pending deliveries of a consumer when it is taken over. */
export type StandingDeliveries = {
  /** Keys with a waiting notification. */
  keys: string[];
  /** How many wait for a retry, except those that are only replayed. */
  retryCount: number;
  hasDead: boolean;
  /**
   * The highest id of a notification with a row, or whose row was discarded: notifications up to it
   * may already have one.
   */
  highestId: number;
};

/**
 * A condition on deliveries. One that is only replayed says nothing about the consumer's health.
 */
export const HAS_FAILED = '(replayed_at is null or last_failed_at is not null)';

/** Reads in how many milliseconds the next delivery is due; null if none is waiting. */
export async function readNextDueMs(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[],
): Promise<number | null> {
  const { rows } = await client.query(
    `select extract(epoch from min(next_at) - clock_timestamp()) * 1000 as ms
     from unnest($1::text[]) as c (id)
     cross join lateral (
       select min(next_attempt_at) as next_at from ${qualified(schema, 'delivery')}
       where consumer_id = c.id and state = 'retry' and next_attempt_at > clock_timestamp()
     ) as d`,
    [consumerIds],
  );
  const ms = (rows[0] as { ms: string | null }).ms;
  return ms === null ? null : Math.max(0, Math.ceil(Number(ms)));
}

/**
 * Reads which of the notifications have a delivery, or a discarded dead letter: neither is
 * delivered from the log.
 */
export async function readFiled(
  client: Queryable,
  schema: string,
  consumerId: string,
  ids: readonly number[],
): Promise<Set<number>> {
  const { rows } = await client.query(
    `select notification_id::text as id from ${qualified(schema, 'delivery')}
     where consumer_id = $1 and notification_id = any($2::bigint[])
     union all
     select notification_id::text from ${qualified(schema, 'discarded')}
     where consumer_id = $1 and notification_id = any($2::bigint[])`,
    [consumerId, ids],
  );
  return new Set((rows as { id: string }[]).map(({ id }) => safeId(id)));
}

/** Reads the consumer's pending deliveries; without order by key, none stays blocked. */
export async function readStanding(
  client: Queryable,
  schema: string,
  { consumerId, isOrdered }: DeliveryScope,
): Promise<StandingDeliveries> {
  const delivery = qualified(schema, 'delivery');
  if (!isOrdered) await unblockAll(client, schema, consumerId);
  const { rows } = await client.query(
    `select
       array(select distinct key from ${delivery}
         where consumer_id = $1 and state <> 'dead' and key is not null) as keys,
       (select count(*) from ${delivery}
         where consumer_id = $1 and state = 'retry' and ${HAS_FAILED})::integer as "retryCount",
       exists (select from ${delivery} where consumer_id = $1 and state = 'dead') as "hasDead",
       greatest(0, (select max(notification_id) from ${delivery} where consumer_id = $1),
         (select max(notification_id) from ${qualified(schema, 'discarded')}
           where consumer_id = $1))::text as "highestId"`,
    [consumerId],
  );
  const standing = rows[0] as StandingDeliveries & { highestId: string };
  return { ...standing, highestId: safeId(standing.highestId) };
}

/** Makes blocked deliveries due, for a consumer that is no longer ordered by key. */
export async function unblockAll(
  client: Queryable,
  schema: string,
  consumerId: string,
): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'delivery')}
     set state = 'retry', next_attempt_at = clock_timestamp()
     where consumer_id = $1 and notification_id in ${lockedSql(schema, "d.state = 'blocked'")}`,
    [consumerId],
  );
}

/**
 * Makes all waiting deliveries suspect: one of them may have killed a process, and it is unknown
 * which. One that was already suspect stays as it is: if recorded in a group, it is called alone.
 * Replayed deliveries that have not failed may be very many: of these, only those that the process
 * can have been handling become suspect, which are the first that were due, and those after them.
 */
export async function suspectAll(
  client: Queryable,
  schema: string,
  consumerId: string,
): Promise<void> {
  const delivery = qualified(schema, 'delivery');
  const isInHand = `d.state <> 'dead' and not d.is_suspect and (
    ${HAS_FAILED}
    or d.notification_id in (
      select notification_id from head
      union all
      select behind.notification_id from head cross join lateral (
        select notification_id from ${delivery}
        where consumer_id = $1 and ${sameKeySql('key', 'head.key')} and state = 'blocked'
          and notification_id > head.notification_id
        order by notification_id limit ${BEHIND_MAX}
      ) as behind))`;
  await client.query(
    `with head as (
       select notification_id, key from ${delivery} as d
       where consumer_id = $1 and state = 'retry' and next_attempt_at <= clock_timestamp()
         and (key is null or not exists (
           select from ${delivery} as earlier
           where earlier.consumer_id = d.consumer_id and ${sameKeySql('earlier.key', 'd.key')}
             and earlier.state <> 'dead' and earlier.notification_id < d.notification_id))
       order by next_attempt_at limit ${HEADS_IN_HAND_MAX}
     )
     update ${delivery} set is_suspect = true, is_grouped = true
     where consumer_id = $1 and notification_id in ${lockedSql(schema, isInHand)}`,
    [consumerId],
  );
}

/**
 * Reads how many deliveries wait for a retry, by consumer, except those that are only replayed;
 * consumers without any are left out.
 */
export async function readRetryCounts(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await client.query(
    `select consumer_id as id, count(*)::integer as count from ${qualified(schema, 'delivery')}
     where consumer_id = any($1) and state = 'retry' and ${HAS_FAILED} group by consumer_id`,
    [consumerIds],
  );
  return new Map((rows as { id: string; count: number }[]).map(({ id, count }) => [id, count]));
}

/** Reads the keys with a waiting notification, by consumer; leaves out consumers without any. */
export async function readStandingKeys(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[],
): Promise<Map<string, string[]>> {
  const { rows } = await client.query(
    `select consumer_id as id, array_agg(distinct key) as keys
     from ${qualified(schema, 'delivery')}
     where consumer_id = any($1) and state <> 'dead' and key is not null group by consumer_id`,
    [consumerIds],
  );
  return new Map((rows as { id: string; keys: string[] }[]).map(({ id, keys }) => [id, keys]));
}

/** Reads which of the consumers have dead letters. */
export async function readHavingDead(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[],
): Promise<Set<string>> {
  const { rows } = await client.query(
    `select id from unnest($1::text[]) as id
     where exists (
       select from ${qualified(schema, 'delivery')} where consumer_id = id and state = 'dead')`,
    [consumerIds],
  );
  return new Set((rows as { id: string }[]).map(({ id }) => id));
}

/**
 * How many due deliveries a process can be handling, not counting those after them: it looks for
 * 100 more whenever it works on fewer than 200.
 */
const HEADS_IN_HAND_MAX = 400;
