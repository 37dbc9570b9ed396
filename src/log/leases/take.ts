import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { SERVER } from '../positions/server-sql.ts';
import type { Lease, NewLease } from './lease.ts';

/** The daemon that takes leases, and how many at most. */
export type LeaseTake = {
  consumerId: string;
  daemonId: string;
  /**
   * True if only retries are taken while there is a dead letter. The statement that takes leases
   * checks this itself: a lease ends with its dead letter, and the next of its slot can be taken.
   */
  isStopping: boolean;
  count: number;
  /**
   * No lease of the consumer has a lower id. Dead row versions below it, which a held snapshot
   * keeps from being vacuumed, are not visited.
   */
  floor?: number;
};

/**
 * Adds leases; each comes after the existing ones of its slot.
 * @param take the daemon that takes, right away, those that can be taken; null: none is taken yet
 * @returns the leases that were taken
 */
export async function insertLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
  leases: readonly NewLease[],
  take: LeaseTake | null = null,
): Promise<Lease[]> {
  if (leases.length === 0) return [];
  const [lease, delivery] = [qualified(schema, 'lease'), qualified(schema, 'delivery')];
  // Ids are passed as text: an array of arrays would have to be rectangular.
  const { rows } = await client.query(
    `with fresh as (
       select l.*, $6::integer > 0
         and (l.kind = 'retry' or not $7::boolean or not exists (
           select from ${delivery} where consumer_id = $1 and state = 'dead'))
         and (l.slot is null or not exists (
           select from ${lease} as earlier
           where earlier.consumer_id = $1 and earlier.slot = l.slot and earlier.lease_id >= $8))
         and (l.slot is null or l.place = min(l.place) over (partition by l.slot)) as is_ready
       from unnest($2::integer[], $3::text[], $4::text[])
         with ordinality as l (slot, kind, ids, place)
     ),
     placed as (
       select *,
         is_ready and count(*) filter (where is_ready) over (order by place) <= $6 as is_taken
       from fresh
     ),
     added as (
       insert into ${lease} (consumer_id, slot, kind, notification_ids, owner, epoch)
       select $1, slot, kind, string_to_array(ids, ',')::bigint[],
         case when is_taken then $5::uuid end, is_taken::integer
       from placed order by place
       returning *
     )
     select ${COLUMNS} from added as taken where owner is not null`,
    [
      consumerId,
      leases.map(({ slot }) => slot),
      leases.map(({ kind }) => kind),
      leases.map(({ notificationIds }) => notificationIds.join(',')),
      take?.daemonId ?? null,
      take?.count ?? 0,
      take?.isStopping ?? false,
      take?.floor ?? 0,
    ],
  );
  return inOrder(rows);
}

/**
 * Adds leases of deliveries that are due. In its slot, each goes before the pages of later
 * notifications that have not been started, except the first of these pages. If it went last, pages
 * would file more notifications of its key as blocked in the meantime, and under load a consumer
 * whose keys fail now and then would never recover. If it went before all of them, a key that keeps
 * failing would keep the others of its slot from their turn. It never goes before older
 * notifications: after a seek forward, leases may hold some that precede what is replayed.
 * @param floor no lease of the consumer has a lower id
 */
export async function insertRetryLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
  leases: readonly NewLease[],
  floor: number,
): Promise<void> {
  if (leases.length === 0) return;
  const lease = qualified(schema, 'lease');
  await client.query(
    `with fresh as (
       select * from unnest($2::integer[], $3::text[]) with ordinality as l (slot, ids, place)
     ),
     last as (
       select slot, max(id) as id
       from fresh cross join lateral unnest(string_to_array(ids, ',')::bigint[]) as id
       group by slot
     ),
     free as (
       select l.lease_id, is_later,
         row_number() over (partition by l.slot order by l.lease_id) as place,
         max(l.lease_id) filter (where not is_later) over (partition by l.slot) as earlier_id
       from last
       join ${lease} as l on l.slot = last.slot
       cross join lateral (
         select l.kind = 'page' and last.id < all(l.notification_ids) as is_later) as judged
       where l.consumer_id = $1 and l.owner is null and l.lease_id >= $4
     ),
     moved as (
       delete from ${lease} where owner is null and lease_id in (
         select lease_id from free
         where is_later and place > 1 and lease_id > coalesce(earlier_id, 0))
       returning lease_id, slot, notification_ids, epoch
     )
     insert into ${lease} (consumer_id, slot, kind, notification_ids, epoch)
     select $1, slot, kind, notification_ids, epoch
     from (
       select slot, 'retry' as kind, string_to_array(ids, ',')::bigint[] as notification_ids,
         0 as epoch, place
       from fresh
       union all
       select slot, 'page', notification_ids, epoch, lease_id + $5 from moved
     ) as added
     order by place`,
    [
      consumerId,
      leases.map(({ slot }) => slot),
      leases.map(({ notificationIds }) => notificationIds.join(',')),
      floor,
      leases.length,
    ],
  );
}

/** Takes leases that no process works on, oldest first, and only the first one of each slot. */
export async function takeLeases(
  client: ClientBase,
  schema: string,
  { consumerId, daemonId, isStopping, count, floor = 0 }: LeaseTake,
): Promise<Lease[]> {
  const lease = qualified(schema, 'lease');
  const { rows } = await client.query(
    `update ${lease} as taken set owner = $2, epoch = taken.epoch + 1
     from (
       select lease_id from ${lease} as free
       where consumer_id = $1 and owner is null and lease_id >= $5
         and (kind = 'retry' or not $3::boolean or not exists (
           select from ${qualified(schema, 'delivery')}
           where consumer_id = $1 and state = 'dead'))
         and (slot is null or not exists (
           select from ${lease} as earlier
           where earlier.consumer_id = free.consumer_id and earlier.slot = free.slot
             and earlier.lease_id >= $5 and earlier.lease_id < free.lease_id))
       order by lease_id limit $4
       for update skip locked
     ) as picked
     where taken.lease_id = picked.lease_id
     returning ${COLUMNS}`,
    [consumerId, daemonId, isStopping, count, floor],
  );
  return inOrder(rows);
}

/**
 * Reads the lowest lease id of the consumer. The caller has to hold the lock: then leases added
 * later have higher ids.
 * @param floor the id to start from
 * @returns null if there is none
 */
export async function readLeaseFloor(
  client: ClientBase,
  schema: string,
  consumerId: string,
  floor: number,
): Promise<number | null> {
  // The expression makes the planner use the primary key, whose order ends the search early.
  const { rows } = await client.query(
    `select lease_id::text as id from ${qualified(schema, 'lease')}
     where lease_id >= $2 and consumer_id || '' = $1 order by lease_id limit 1`,
    [consumerId, floor],
  );
  const [row] = rows as { id: string }[];
  return row ? Number(row.id) : null;
}

const COLUMNS = `to_jsonb(taken.lease_id) as "leaseId", taken.kind, taken.epoch,
  ${SERVER} as server, to_jsonb(taken.notification_ids) as "notificationIds"`;

function inOrder(rows: unknown[]): Lease[] {
  return (rows as Lease[]).sort((a, b) => a.leaseId - b.leaseId);
}
