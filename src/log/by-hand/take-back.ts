import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';

/** What is taken out of which leases, as conditions over a row of them and over an id of theirs. */
export type TakingBack = { isMeant: string; isKept: string; values: readonly unknown[] };

/**
 * Takes notifications out of leases, because they are delivered from elsewhere. Whoever works on
 * such a lease has lost it: what is being called is finished, and nothing of it filed or committed,
 * which would come before its turn or once too often. Until it is given back it keeps its slot to
 * itself, and so one of which nothing is left is made one of retries, which then goes.
 * @returns how many were taken out of leases, but for those of retries; some of them may have been
 *   called just now
 */
export async function takeBack(
  client: ClientBase,
  schema: string,
  { isMeant, isKept, values }: TakingBack,
): Promise<number> {
  const lease = qualified(schema, 'lease');
  const { rows } = await client.query(
    `with held as (
       select lease_id, owner, kind, notification_ids as ids,
         array(select id from unnest(notification_ids) as id where ${isKept} order by id) as kept
       from ${lease}
       where ${isMeant}
       for update
     ),
     gone as (
       delete from ${lease} where lease_id in (
         select lease_id from held where owner is null and kept = '{}')
     ),
     cut as (
       update ${lease} as lease
       set epoch = lease.epoch + 1,
         notification_ids = case held.kind when 'retry' then held.ids else held.kept end,
         kind = case when held.kept = '{}' then 'retry' else held.kind end
       from held
       where lease.lease_id = held.lease_id and held.kept <> held.ids
         and (held.owner is not null or held.kept <> '{}')
     )
     select coalesce(sum(cardinality(ids) - cardinality(kept)), 0)::float8 as count
     from held where kind <> 'retry'`,
    [...values],
  );
  return (rows[0] as { count: number }).count;
}
