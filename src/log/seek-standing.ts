import type { ClientBase } from 'pg';
import { qualified } from '../database/names.ts';

/**
 * Takes out of the leases that nobody has begun what lies behind the position, because it is read from
 * the log again. What is being worked on is finished, and what may have killed a process stays a part of
 * its lease: as with any that were done already, it comes once more, and its key waits for it.
 * @returns how many notifications
 */
export async function takeBackLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<number> {
  const lease = qualified(schema, 'lease');
  const { rows } = await client.query(
    `with free as (
       select lease_id, notification_ids as ids,
         array(select id from unnest(notification_ids) as id where id <= $2::bigint order by id) as kept
       from ${lease}
       where consumer_id = $1 and owner is null and kind = 'page'
       for update
     ),
     gone as (
       delete from ${lease} where lease_id in (select lease_id from free where kept = '{}')
     ),
     cut as (
       update ${lease} as lease set notification_ids = free.kept from free
       where lease.lease_id = free.lease_id and free.kept <> '{}' and free.kept <> free.ids
     )
     select coalesce(sum(cardinality(ids) - cardinality(kept)), 0)::float8 as count from free`,
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
