import type { ClientBase } from 'pg';
import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { withTransaction } from '../../database/transaction.ts';
import { applyChanges } from '../deliveries/apply-changes.ts';
import type { DeliveryChange, DeliveryScope } from '../deliveries/delivery.ts';
import { safeId } from '../notification.ts';
import { SERVER } from '../positions/server-sql.ts';
import type { Lease } from './lease.ts';

/** The unfinished part of a lease. */
export type LeaseRest = Pick<Lease, 'leaseId' | 'epoch' | 'server'> & {
  notificationIds: readonly number[];
};

/**
 * Records what is left of leases, and deletes those that are finished.
 * @returns false if another process has any of them by now: nothing may be committed then
 */
export async function settleLeases(
  client: ClientBase,
  schema: string,
  daemonId: string,
  rests: readonly LeaseRest[],
): Promise<boolean> {
  const lease = qualified(schema, 'lease');
  const { rowCount } = await client.query(
    `with ours as (
       select lease.lease_id, rest.ids from ${lease} as lease
       join unnest($2::bigint[], $3::integer[], $4::text[], $5::text[])
           as rest (id, epoch, ids, server)
         on lease.lease_id = rest.id and lease.epoch = rest.epoch and rest.server = ${SERVER}
       where lease.owner = $1
       order by lease.lease_id for update of lease
     ),
     finished as (
       delete from ${lease} as lease using ours
       where lease.lease_id = ours.lease_id and ours.ids = ''
     ),
     shrunk as (
       update ${lease} as lease set notification_ids = string_to_array(ours.ids, ',')::bigint[]
       from ours where lease.lease_id = ours.lease_id and ours.ids <> ''
     )
     select from ours`,
    [
      daemonId,
      rests.map(({ leaseId }) => leaseId),
      rests.map(({ epoch }) => epoch),
      rests.map(({ notificationIds }) => notificationIds.join(',')),
      rests.map(({ server }) => server),
    ],
  );
  return rowCount === rests.length;
}

/**
 * Records that the handler is about to be called for notifications of leases. From then on they
 * have deliveries, and the process that takes such a lease next has to look for them.
 * @returns false, with nothing written, if another process has taken one of the leases or is taking
 *   it
 */
export async function recordAttempts(
  client: ClientBase,
  schema: string,
  scope: DeliveryScope,
  leases: readonly Pick<Lease, 'leaseId' | 'epoch' | 'server'>[],
  changes: readonly DeliveryChange[],
): Promise<boolean> {
  const lease = qualified(schema, 'lease');
  return withTransaction(client, async () => {
    const { rowCount } = await client.query(
      `with ours as (
         select lease_id, kind from ${lease}
         join unnest($1::bigint[], $2::integer[], $3::text[]) as own (id, own_epoch, server)
           on lease_id = id and epoch = own_epoch and server = ${SERVER}
         order by lease_id for no key update of lease
       ),
       marked as (
         update ${lease} as lease set kind = 'orphan'
         from ours where lease.lease_id = ours.lease_id and ours.kind = 'page'
       )
       select from ours`,
      [
        leases.map(({ leaseId }) => leaseId),
        leases.map(({ epoch }) => epoch),
        leases.map(({ server }) => server),
      ],
    );
    const isOurs = rowCount === leases.length;
    if (isOurs) await applyChanges(client, schema, scope, changes);
    return isOurs;
  });
}

/** Which leases to release. */
export type FreeLeases = {
  consumerId: string;
  daemonId: string;
  /** True: those of all dead daemons; false: those of this daemon. */
  isDead: boolean;
  /** The leases that this daemon works on, which it keeps. */
  heldIds?: readonly number[];
  /** Notifications that may have crashed the server. */
  suspectIds?: readonly number[];
};

/**
 * Releases the leases that the daemon has taken and will not finish, or those of dead daemons. The
 * notifications of a dead daemon are handled carefully; those that it was retrying become suspect.
 * Calls that were recorded are no longer made, so they are due at once. Leases that a frozen
 * process has locked are released another time.
 * @returns how many leases were released
 */
export async function freeLeases(
  client: Queryable,
  schema: string,
  which: FreeLeases,
): Promise<number> {
  const { consumerId, daemonId, isDead, heldIds = [], suspectIds = [] } = which;
  const [lease, delivery] = [qualified(schema, 'lease'), qualified(schema, 'delivery')];
  const isMeant = isDead
    ? `owner not in (select daemon_id from ${qualified(schema, 'live_daemon')}) and owner <> $2`
    : 'owner = $2';
  const becomesSuspect = `(kind = 'retry' and ($3 or notification_id = any($5)))`;
  const { rows } = await client.query(
    `with meant as (
       select lease_id, kind, notification_ids,
         $3::boolean or notification_ids && $5::bigint[] as is_orphaned
       from ${lease} where consumer_id = $1 and ${isMeant} and lease_id <> all($4::bigint[])
       for update skip locked
     ),
     gone as (
       delete from ${lease} where lease_id in (select lease_id from meant where kind = 'retry')
     ),
     called as (
       select d.notification_id as id, kind
       from meant cross join lateral unnest(meant.notification_ids) as leased (id)
       join ${delivery} as d on d.consumer_id = $1 and d.notification_id = leased.id
       where d.state <> 'dead' and (d.called_attempt is not null or ${becomesSuspect})
       order by d.notification_id for update of d
     ),
     ended as (
       update ${delivery}
       set called_attempt = null,
         next_attempt_at = case when called_attempt is null then next_attempt_at
           when state = 'retry' then clock_timestamp() end,
         is_suspect = is_suspect or ${becomesSuspect},
         is_grouped = case when ${becomesSuspect} then $3 and (is_grouped or not is_suspect)
           else is_grouped end
       from called where consumer_id = $1 and notification_id = called.id
     ),
     freed as (
       update ${lease}
       set owner = null, epoch = epoch + 1,
         kind = case when meant.is_orphaned then 'orphan' else ${lease}.kind end
       from meant where ${lease}.lease_id = meant.lease_id and meant.kind <> 'retry'
     )
     select count(*)::integer as count from meant`,
    [consumerId, daemonId, isDead, heldIds, suspectIds],
  );
  return (rows[0] as { count: number }).count;
}

/** Reads the notifications that are leased and may have deliveries: these are not due. */
export async function readLeasedIds(
  client: Queryable,
  schema: string,
  consumerId: string,
  floor = 0,
): Promise<number[]> {
  const { rows } = await client.query(
    `select unnest(notification_ids)::text as id from ${qualified(schema, 'lease')}
     where consumer_id = $1 and kind <> 'page' and lease_id >= $2`,
    [consumerId, floor],
  );
  return (rows as { id: string }[]).map(({ id }) => safeId(id));
}

/** Counts the leases that no process works on. */
export async function countFreeLeases(
  client: Queryable,
  schema: string,
  consumerId: string,
  floor = 0,
): Promise<number> {
  const { rows } = await client.query(
    `select count(*)::integer as count from ${qualified(schema, 'lease')}
     where consumer_id = $1 and owner is null and lease_id >= $2`,
    [consumerId, floor],
  );
  return (rows[0] as { count: number }).count;
}

/**
 * Turns leases of a consumer into deliveries that are due: all of them if it is no longer shared,
 * so processes that still work on them have lost them; or the free ones without a slot that have
 * notifications with keys.
 */
export async function absorbLeases(
  client: Queryable,
  schema: string,
  consumerId: string,
  which: 'all' | 'unordered' = 'all',
): Promise<void> {
  const [lease, log] = [qualified(schema, 'lease'), qualified(schema, 'notification_log')];
  await client.query(
    `with meant as (
       select lease_id from ${lease} as lease
       where consumer_id = $1 and ($2 = 'all' or slot is null and owner is null and exists (
         select from ${log} where id = any(notification_ids) and key is not null))
       order by lease_id for update of lease
     ),
     gone as (
       delete from ${lease} where lease_id in (select lease_id from meant)
       returning notification_ids, kind = 'orphan' or owner not in (
         select daemon_id from ${qualified(schema, 'live_daemon')}) as is_suspect
     )
     insert into ${qualified(schema, 'delivery')} as delivery
       (consumer_id, notification_id, state, key, next_attempt_at, is_suspect, is_grouped)
     select $1, log.id, 'retry', log.key, clock_timestamp(), suspect.is_so, suspect.is_so
     from gone cross join lateral unnest(notification_ids) as leased (id)
     cross join lateral (select coalesce(gone.is_suspect, false) as is_so) as suspect
     join ${log} as log on log.id = leased.id
     order by log.id
     on conflict (consumer_id, notification_id) do update
     set is_suspect = delivery.is_suspect or excluded.is_suspect,
       is_grouped = case
         when delivery.is_suspect then delivery.is_grouped else excluded.is_grouped end`,
    [consumerId, which],
  );
}
