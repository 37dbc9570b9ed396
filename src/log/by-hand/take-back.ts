import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';

/** Conditions on a lease, that it is meant, and on an id in it, that it is kept. */
export type TakingBack = { isMeant: string; isKept: string; values: readonly unknown[] };

/**
 * Takes notifications out of leases, because they are delivered from elsewhere. A process that
 * works on such a lease has lost it: running handlers finish, but nothing of it is filed or
 * committed, because that would come before its turn or once too often. Until it is released, the
 * lease keeps its slot to itself; therefore an emptied lease becomes one of retries, which is
 * deleted on release.
 * @returns how many notifications were taken out of leases other than those of retries; the
 *   handlers of some may have just been called
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
       order by lease_id for update
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
