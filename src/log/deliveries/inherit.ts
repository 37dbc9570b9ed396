import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { settledSql } from '../positions/settled-sql.ts';
import { sameKeySql } from './key-sql.ts';

/**
 * Prepares the deliveries that an owner has left behind: for its successor, or for the processes
 * that share the consumer from now on. Runs in the transaction that takes the consumer from it.
 */
export async function inheritDeliveries(
  client: Queryable,
  schema: string,
  { consumerId, isOrdered }: { consumerId: string; isOrdered: boolean },
): Promise<void> {
  await endCalls(client, schema, consumerId);
  if (isOrdered) await fileEarlier(client, schema, consumerId);
}

/** Makes due what the owner was calling: nobody does any more. */
async function endCalls(client: Queryable, schema: string, consumerId: string): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'delivery')}
     set called_at = null,
       next_attempt_at = case state when 'retry' then clock_timestamp() end
     where consumer_id = $1 and called_at is not null`,
    [consumerId],
  );
}

/**
 * Files the earlier notifications of keys that have deliveries ahead of the position: while one
 * call is slow, the position waits for it, and failures after it are filed. An owner that dies then
 * may have handled earlier notifications of their keys, or not, and they are delivered again. From
 * the log they might come after the retries; as deliveries they wait for each other in their order.
 * Late commits below the position are left out: nobody can have expected them before.
 */
async function fileEarlier(client: Queryable, schema: string, consumerId: string): Promise<void> {
  const [delivery, log] = [qualified(schema, 'delivery'), qualified(schema, 'notification_log')];
  await client.query(
    `with ahead as (
       select d.key, max(d.notification_id) as last_id
       from ${delivery} as d
       join ${qualified(schema, 'consumer_progress')} as progress
         on progress.consumer_id = d.consumer_id
       join ${log} as log on log.id = d.notification_id
       cross join ${qualified(schema, 'origin')} as origin
       where d.consumer_id = $1 and d.key is not null
         and not ${settledSql(schema, 'progress', 'log')}
       group by d.key
     ),
     earlier as (
       select log.id, log.key, row_number() over (partition by log.key order by log.id) as place
       from ${qualified(schema, 'consumer_progress')} as progress
       cross join ${qualified(schema, 'origin')} as origin
       join ${log} as log
         on log.id > progress.done_id and log.id < (select max(last_id) from ahead)
         and log.channel = any(progress.channels)
       join ahead on ${sameKeySql('ahead.key', 'log.key')} and log.id < ahead.last_id
       where progress.consumer_id = $1 and not ${settledSql(schema, 'progress', 'log')}
         and not exists (
           select from ${delivery} where consumer_id = $1 and notification_id = log.id)
         and not exists (
           select from ${qualified(schema, 'discarded')}
           where consumer_id = $1 and notification_id = log.id)
     )
     insert into ${delivery} (consumer_id, notification_id, state, key, next_attempt_at)
     select $1, id, case place when 1 then 'retry' else 'blocked' end, key,
       case place when 1 then clock_timestamp() end
     from earlier`,
    [consumerId],
  );
}
