import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { withTransaction } from '../../database/transaction.ts';
import { sameKeySql } from '../deliveries/key-sql.ts';
import { lockedSql } from '../deliveries/locked-sql.ts';
import { wakeOrphans } from '../deliveries/wake-orphans.ts';
import { lockLeases } from '../leases/lock-leases.ts';
import { tellDaemons } from '../positions/daemons.ts';
import { lockTaking } from './locks.ts';
import { type Stretch, stretchSql, stretchValues } from './replay-stretch.ts';
import { takeBack } from './take-back.ts';

/** A requested replay: how many deliveries it filed, and the time that identifies them. */
export type FiledReplay = { filed: number; replayedAt: string };

/**
 * Files the notifications of a stretch as deliveries, which daemons handle like retries that are
 * due.
 *
 * Each key keeps its order, also relative to notifications that arrive in the meantime; otherwise a
 * consumer that keeps the newest state of each key would end with an old one. Therefore the owner
 * of the consumer loses it in the same transaction that files: what it has done but not saved by
 * then is not part of the replay, but is read again by the next owner, which knows the keys that
 * wait. If the consumer is shared, leased notifications of these keys are taken back and come after
 * them.
 * @param replay.speed how many times as fast as they were written; null: as fast as possible
 * @param replay.max the maximum number of notifications
 */
export async function fileReplay(
  client: ClientBase,
  schema: string,
  replay: { stretch: Stretch; speed: number | null; max: number },
): Promise<FiledReplay> {
  const { stretch, speed, max } = replay;
  return withTransaction(client, async () => {
    const isOrdered = await disown(client, schema, stretch.consumerId);
    const { rows } = await client.query(fileSql(schema), [
      ...stretchValues(stretch),
      isOrdered,
      speed,
      max,
    ]);
    if (isOrdered) {
      await takeBackAgain(client, schema, stretch.consumerId);
      await fenceRetries(client, schema, stretch.consumerId, isPassingSql(schema));
    }
    // Not 'retry': an owner that has not noticed yet would call some, and its successor again.
    await tellDaemons(client, schema, 'owners');
    return rows[0] as FiledReplay;
  });
}

/**
 * Cancels replayed notifications that have not been attempted yet.
 * @returns how many were cancelled
 */
export async function cancelReplays(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<number> {
  return withTransaction(client, async () => {
    await disown(client, schema, consumerId);
    const isUntried = `d.replayed_at is not null and d.state <> 'dead'
      and d.attempts = 0 and d.last_failed_at is null`;
    // A process that is calling some of these would file them again on failure, and by then the log
    // may have lost them.
    await fenceRetries(client, schema, consumerId, isUntried);
    const { rowCount } = await client.query(
      `delete from ${qualified(schema, 'delivery')}
       where consumer_id = $1 and notification_id in ${lockedSql(schema, isUntried)}`,
      [consumerId],
    );
    await wakeOrphans(client, schema, consumerId);
    await tellDaemons(client, schema, 'owners');
    return rowCount ?? 0;
  });
}

/**
 * Takes the consumer from its owner, if it has one, and keeps processes that share it from settling
 * and taking work until the transaction ends.
 * @returns whether notifications of a key wait for each other
 */
async function disown(client: ClientBase, schema: string, consumerId: string): Promise<boolean> {
  await lockTaking(client, schema, consumerId);
  const { rows } = await client.query<{ isOrdered: boolean }>(
    `update ${qualified(schema, 'consumer_progress')}
     set epoch = epoch + case when is_shared then 0 else 1 end
     where consumer_id = $1 returning is_ordered as "isOrdered"`,
    [consumerId],
  );
  await lockLeases(client, schema, consumerId);
  return rows[0]?.isOrdered ?? true;
}

/**
 * Leased notifications of these keys have a delivery now, which has its turn later; the lease must
 * not commit them as well.
 */
async function takeBackAgain(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  await takeBack(client, schema, {
    isMeant: `consumer_id = $1 and kind = 'page'`,
    isKept: `not exists (
      select from ${qualified(schema, 'delivery')} as d
      where d.consumer_id = $1 and d.notification_id = id and d.state <> 'dead')`,
    values: [consumerId],
  });
}

/**
 * For a shared consumer, takes the leases that contain certain deliveries from the processes that
 * are retrying these. Such a process releases the lease when its handler returns, with nothing
 * filed or committed; until then the lease keeps its slot to itself.
 * @param isMeant selects the deliveries: a condition on the delivery d
 */
async function fenceRetries(
  client: ClientBase,
  schema: string,
  consumerId: string,
  isMeant: string,
): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'lease')} as held set epoch = epoch + 1
     where consumer_id = $1 and kind <> 'page' and exists (
       select from ${qualified(schema, 'delivery')} as d
       where d.consumer_id = $1 and d.notification_id = any(held.notification_ids) and ${isMeant})`,
    [consumerId],
  );
}

/** An earlier delivery of d's key was just filed, so d must not be done before that one. */
function isPassingSql(schema: string): string {
  return `exists (
    select from ${qualified(schema, 'delivery')} as earlier
    where earlier.consumer_id = d.consumer_id and ${sameKeySql('earlier.key', 'd.key')}
      and earlier.notification_id < d.notification_id
      and earlier.state <> 'dead' and earlier.replayed_at = now())`;
}

/**
 * Parameters: those of the stretch, 7 is ordered, 8 speed, 9 max.
 *
 * At full speed, only the first notification of each key is due, and blocks the others: this makes
 * due ones fast to find, and lets several be delivered at a time. Otherwise each is due at its own
 * time.
 */
function fileSql(schema: string): string {
  const delivery = qualified(schema, 'delivery');
  return `${stretchSql(schema)},
filed as (
  select id, key, row_number() over (order by id) as place,
    row_number() over (partition by key order by id) as key_place,
    created_at - min(created_at) over () as distance
  from (select * from stretch where is_replayable order by id limit $9::bigint) as replayable
),
again as (
  select log.id, log.key
  from leased
  join ${qualified(schema, 'notification_log')} as log on log.id = leased.id
  join filed on filed.key = log.key and filed.key_place = 1 and filed.id < log.id
  where $7::boolean
),
asked as (
  select id, key, $7::boolean and $8::float8 is null and key is not null and (
      key_place > 1 or exists (
        select from ${delivery} as d
        where d.consumer_id = $1 and ${sameKeySql('d.key', 'filed.key')} and d.state <> 'dead'
          and d.notification_id < filed.id)) as is_blocked,
    clock_timestamp() + case when $8::float8 is null then place * interval '1 microsecond'
      else distance / $8::float8 end as at,
    now() as replayed_at
  from filed
  union all
  select id, key, true, null, null from again
),
inserted as (
  insert into ${delivery}
    (consumer_id, notification_id, state, key, next_attempt_at, replayed_at)
  select $1, id, case when is_blocked then 'blocked' else 'retry' end, key,
    case when not is_blocked then at end, replayed_at
  from asked
  order by id
  on conflict (consumer_id, notification_id) do nothing
  returning replayed_at
)
select count(*) filter (where replayed_at is not null)::float8 as filed, now()::text as "replayedAt"
from inserted`;
}
