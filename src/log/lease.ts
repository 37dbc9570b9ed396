import { crc32 } from 'node:zlib';
import type { ClientBase } from 'pg';
import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import { STANDSTILL_MAX } from '../database/transaction.ts';
import { type LogRow, safeId } from './notification.ts';
import type { Position } from './position.ts';
import { IS_PAUSED, POSITION_COLUMNS, type PositionRow, SERVER, toPosition } from './progress.ts';

/** A part of a shared consumer's work that this process has taken; see the table lease. */
export type Lease = {
  leaseId: number;
  kind: 'page' | 'retry' | 'orphan';
  epoch: number;
  /** The server's start time: after a crash it may hand out the ids of leases that it has lost. */
  server: string;
  /** In the order in which they are handed out. */
  notificationIds: number[];
};

/** A part that is to be taken by somebody. */
export type NewLease = Pick<Lease, 'kind' | 'notificationIds'> & { slot: number | null };

/**
 * Makes the transaction the only one that takes work of the consumer. An advisory lock, because it
 * hands out no xid: the one that bounds the search for late commits has to be newer than the
 * snapshot that the transaction before has stored.
 */
export async function lockSharedConsumer(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  await client.query(
    `select set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '30s', true),
       set_config('idle_in_transaction_session_timeout', '${STANDSTILL_MAX}', true)`,
  );
  await client.query(
    `select pg_advisory_xact_lock(hashtextextended('pgwatch shared ' || $1::text || ' ' || $2::text, 0))`,
    [schema, consumerId],
  );
}

/** The position of a shared consumer, for who has the lock; null where it is paused, or not shared. */
export async function readSharedPosition(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<Position | null> {
  const { rows } = await client.query(
    `update ${qualified(schema, 'consumer_progress')}
     set done_xid = coalesce(done_xid, pg_current_xact_id()),
       window_xid = case when window_snapshot is not null
         then coalesce(window_xid, pg_current_xact_id()) end
     where consumer_id = $1 and is_shared and not ${IS_PAUSED}
     returning ${POSITION_COLUMNS}`,
    [consumerId],
  );
  return rows[0] ? toPosition(rows[0] as PositionRow) : null;
}

/** Saves it, for who has the lock. Bounds that are not known yet are added by who has it next. */
export async function saveSharedPosition(
  client: ClientBase,
  schema: string,
  consumerId: string,
  { doneId, doneSnapshot, doneXid, window }: Position,
): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'consumer_progress')}
     set done_id = $2, done_snapshot = $3, done_xid = $4, window_snapshot = $5, window_end = $6,
       window_id = $7, window_xid = $8, saved_at = now()
     where consumer_id = $1`,
    [
      consumerId,
      doneId,
      doneSnapshot,
      doneXid,
      window?.snapshot ?? null,
      window?.endId ?? null,
      window?.id ?? null,
      window?.xid ?? null,
    ],
  );
}

/**
 * Makes the consumer a shared one, unless it is paused, or a process that is alive runs it alone.
 * @returns what it is
 */
export async function shareConsumer(
  client: Queryable,
  schema: string,
  consumer: { consumerId: string; channels: readonly string[] },
): Promise<{ is: 'shared' | 'owned' } | { is: 'paused'; until: Date | null }> {
  const progress = qualified(schema, 'consumer_progress');
  const { rowCount } = await client.query(
    `update ${progress}
     set is_shared = true, channels = $2, owner = null, owned_since = null,
       epoch = epoch + case when is_shared then 0 else 1 end
     where consumer_id = $1 and not ${IS_PAUSED} and (owner is null or owner not in (
       select daemon_id from ${qualified(schema, 'live_daemon')}))`,
    [consumer.consumerId, consumer.channels],
  );
  if (rowCount === 1) return { is: 'shared' };
  const { rows } = await client.query<{ until: Date | null }>(
    `select paused_until as until from ${progress} where consumer_id = $1 and ${IS_PAUSED}`,
    [consumer.consumerId],
  );
  return rows[0] ? { is: 'paused', until: rows[0].until } : { is: 'owned' };
}

/**
 * Splits rows into leases, so that each key is in one slot. Rows whose order does not matter are
 * split evenly.
 */
export function splitRows(rows: readonly LogRow[], isOrdered: boolean): NewLease[] {
  const slots = new Map<number, number[]>();
  const free: number[] = [];
  for (const row of rows) {
    const [id, key] = [safeId(row[0]), row[4]];
    if (!isOrdered || key === null) free.push(id);
    else slots.set(slotOf(key), [...(slots.get(slotOf(key)) ?? []), id]);
  }
  const leases: NewLease[] = [...slots].map(([slot, notificationIds]) => ({
    kind: 'page',
    slot,
    notificationIds,
  }));
  return [...leases, ...splitEvenly(free, 'page')];
}

/** Splits what has no order into as many leases as there are slots, at most. */
export function splitEvenly(ids: readonly number[], kind: Lease['kind']): NewLease[] {
  const leases: NewLease[] = [];
  const size = Math.ceil(ids.length / SLOTS);
  for (let index = 0; index < ids.length; index += size) {
    leases.push({ kind, slot: null, notificationIds: ids.slice(index, index + size) });
  }
  return leases;
}

/** The slot of a key: the same in every process and every version. */
export function slotOf(key: string): number {
  return crc32(key) % SLOTS;
}

export async function insertLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
  leases: readonly NewLease[],
): Promise<void> {
  if (leases.length === 0) return;
  // An array of arrays would have to be rectangular.
  await client.query(
    `insert into ${qualified(schema, 'lease')} (consumer_id, slot, kind, notification_ids)
     select $1, nullif(l.slot, -1), l.kind, string_to_array(l.ids, ',')::bigint[]
     from unnest($2::integer[], $3::text[], $4::text[]) with ordinality as l (slot, kind, ids, place)
     order by l.place`,
    [
      consumerId,
      leases.map(({ slot }) => slot ?? -1),
      leases.map(({ kind }) => kind),
      leases.map(({ notificationIds }) => notificationIds.join(',')),
    ],
  );
}

/**
 * Takes leases that nobody works on, the oldest first, and of a slot only the first one.
 * @param take.isStopping true: with a dead letter only retries are taken. Looked at in this statement,
 *   because a lease ends with the dead letter in it, and lets the next of its slot be taken
 */
export async function takeLeases(
  client: ClientBase,
  schema: string,
  take: { consumerId: string; daemonId: string; isStopping: boolean; count: number },
): Promise<Lease[]> {
  const lease = qualified(schema, 'lease');
  const { rows } = await client.query(
    `update ${lease} as taken set owner = $2, epoch = taken.epoch + 1
     from (
       select lease_id from ${lease} as free
       where consumer_id = $1 and owner is null
         and (kind = 'retry' or not $3::boolean or not exists (
           select from ${qualified(schema, 'delivery')}
           where consumer_id = $1 and state = 'dead'))
         and (slot is null or not exists (
           select from ${lease} as earlier
           where earlier.consumer_id = free.consumer_id and earlier.slot = free.slot
             and earlier.lease_id < free.lease_id))
       order by lease_id limit $4
       for update skip locked
     ) as picked
     where taken.lease_id = picked.lease_id
     returning to_jsonb(taken.lease_id) as "leaseId", taken.kind, taken.epoch,
       ${SERVER} as server, to_jsonb(taken.notification_ids) as "notificationIds"`,
    [take.consumerId, take.daemonId, take.isStopping, take.count],
  );
  return (rows as Lease[]).sort((a, b) => a.leaseId - b.leaseId);
}

/** Into how many parts the keys are divided: so many processes can share a consumer. */
export const SLOTS = 32;
