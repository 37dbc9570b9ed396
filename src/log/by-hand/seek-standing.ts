import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';

/**
 * Takes out of the leases what lies behind the position, because it is read from the log again. Whoever works
 * on a lease has lost it: what is being called is finished, and nothing of it filed, which would be handed out
 * before what is read again. Until it is given back it keeps its slot to itself, and so one of which nothing is
 * left is made one of retries, which then goes. What may have killed a process stays a part of its lease: as
 * with any that were done already, it comes once more, and its key waits for it.
 * @returns how many notifications are read from the log again; some of them may have been called just now
 */
export async function takeBackLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<number> {
  const lease = qualified(schema, 'lease');
  const { rows } = await client.query(
    `with held as (
       select lease_id, owner, kind, notification_ids as ids,
         array(select id from unnest(notification_ids) as id where id <= $2::bigint order by id) as kept
       from ${lease}
       where consumer_id = $1 and (owner is not null or kind = 'page')
       for update
     ),
     gone as (
       delete from ${lease} where lease_id in (
         select lease_id from held where owner is null and kept = '{}')
     ),
     cut as (
       update ${lease} as lease
       set epoch = lease.epoch + 1,
         notification_ids = case held.kind when 'page' then held.kept else held.ids end,
         kind = case when held.kind = 'page' and held.kept = '{}' then 'retry' else held.kind end
       from held
       where lease.lease_id = held.lease_id and held.kept <> held.ids
         and (held.owner is not null or held.kept <> '{}')
     )
     select coalesce(sum(cardinality(ids) - cardinality(kept)), 0)::float8 as count
     from held where kind = 'page'`,
    [consumerId, doneId],
  );
  return (rows[0] as { count: number }).count;
}

/**
 * Deletes the deliveries that wait and lie behind the position, where the log still holds what they are
 * about: it is read from there, in its place among the others of its key, which would come too late were
 * it handed out by its delivery before them. Dead letters stay.
 * @returns how many
 */
export async function dropReread(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<number> {
  const { rowCount } = await client.query(
    `delete from ${qualified(schema, 'delivery')} as d
     using ${qualified(schema, 'consumer_progress')} as progress,
       ${qualified(schema, 'notification_log')} as log
     where d.consumer_id = $1 and d.notification_id > $2 and d.state <> 'dead'
       and progress.consumer_id = d.consumer_id
       and log.id = d.notification_id and log.channel = any(progress.channels)`,
    [consumerId, doneId],
  );
  return rowCount ?? 0;
}
