import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import type { Delivery } from '../log/dead-letters.ts';
import type { DeliveryState } from '../log/delivery-filter.ts';
import { settledSql, skippedSql } from '../log/settled-sql.ts';

/**
 * What has become of a notification at a consumer, as far as its position and its deliveries tell. done:
 * its position has passed it; skipped: it began behind it, or was moved past it; working: a shared consumer
 * has it in hand.
 */
export type OutcomeAt = Pick<
  Delivery,
  'consumerId' | 'attempts' | 'nextAttemptAt' | 'replayedAt' | 'lastFailedAt' | 'lastError'
> & { state: DeliveryState | 'done' | 'skipped' | 'waiting' | 'working' };

/** Of each consumer that reads the channel, or has a delivery of it; in order of their ids. */
export async function readOutcomes(
  client: Queryable,
  schema: string,
  notificationId: number,
): Promise<OutcomeAt[]> {
  const { rows } = await client.query(
    `select coalesce(d.consumer_id, p.consumer_id) as "consumerId",
       coalesce(d.attempts, 0) as attempts, d.next_attempt_at as "nextAttemptAt", d.replayed_at as "replayedAt",
       d.last_failed_at as "lastFailedAt", d.last_error as "lastError",
       case
         when d.state is not null then d.state
         when exists (
           select from ${qualified(schema, 'lease')} as l
           where l.consumer_id = p.consumer_id and p.notification_id = any(l.notification_ids)
         ) then 'working'
         when p.is_passed and p.is_skipped then 'skipped'
         when p.is_passed then 'done'
         else 'waiting'
       end as state
     from (
       select progress.consumer_id, log.id as notification_id,
         ${settledSql(schema, 'progress', 'log')} as is_passed,
         ${skippedSql('progress', 'log')} as is_skipped
       from ${qualified(schema, 'notification_log')} as log
       join ${qualified(schema, 'consumer_progress')} as progress on log.channel = any(progress.channels)
       cross join ${qualified(schema, 'origin')} as origin
       where log.id = $1
     ) as p
     full join (
       select * from ${qualified(schema, 'delivery')} where notification_id = $1
     ) as d on d.consumer_id = p.consumer_id
     order by 1`,
    [notificationId],
  );
  return rows as OutcomeAt[];
}
