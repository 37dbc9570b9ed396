import { crc32 } from 'node:zlib';
import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { STANDSTILL_MAX } from '../../database/transaction.ts';
import { suspectAll } from '../deliveries/standing.ts';
import { type LogRow, safeId } from '../notification.ts';
import { IS_PAUSED } from '../positions/progress.ts';
import { reachedSql } from '../positions/settled-sql.ts';
import { inheritDeliveries } from './inherit.ts';
import type { SharedReader } from './shared-position.ts';

/** A part of a shared consumer's work that this process has taken; see the table lease. */
export type Lease = {
  leaseId: number;
  kind: 'page' | 'retry' | 'orphan';
  epoch: number;
  /** The value of SERVER: after a crash, the server may reuse the ids of leases that it lost. */
  server: string;
  /** In the order of delivery. */
  notificationIds: number[];
};

/** A part of the work that is to be added. */
export type NewLease = Pick<Lease, 'kind' | 'notificationIds'> & { slot: number | null };

/**
 * Makes the transaction the only one that takes work of the consumer. This is an advisory lock,
 * because taking it assigns no xid: the xid that bounds the search for late commits has to be newer
 * than the snapshot that the previous transaction stored.
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
    `select pg_advisory_xact_lock(
       hashtextextended('pgwatch shared ' || $1::text || ' ' || $2::text, 0))`,
    [schema, consumerId],
  );
}

/** A process that wants to share a consumer, and whether its version is ordered by key. */
export type SharingWish = SharedReader & { isOrdered: boolean };

/**
 * Makes the consumer a shared one, unless it is paused, or a live process runs it alone, or a
 * process that was started later reads other channels for it: a version that does not read these
 * channels must not pass their notifications. What an owner has left behind is prepared for those
 * that share the consumer. Runs in a transaction.
 * @returns the state of the consumer
 */
export async function shareConsumer(
  client: ClientBase,
  schema: string,
  { consumerId, channels, isOrdered, daemonId }: SharingWish,
): Promise<
  | { is: 'shared'; previousChannels: string[]; reachedId: number }
  | { is: 'owned' }
  | { is: 'another version'; channels: string[] }
  | { is: 'paused'; until: Date | null }
> {
  const progress = qualified(schema, 'consumer_progress');
  const shared = await client.query<Shared>(
    `update ${progress} as progress
     set is_shared = true, channels = $2, owner = null, owned_since = null,
       epoch = epoch + case when progress.is_shared then 0 else 1 end
     from (
       select channels, is_shared, owner from ${progress} where consumer_id = $1 for update
     ) as before
     where consumer_id = $1 and not ${IS_PAUSED} and (
       progress.owner is null or progress.owner not in (
       select daemon_id from ${qualified(schema, 'live_daemon')}))
       and not ${qualified(schema, 'older_version')}($1, $3::uuid)
     returning before.channels as "previousChannels", before.is_shared as "wasShared",
       before.owner is not null as "hasDied", ${reachedSql('progress')}::float8 as "reachedId"`,
    [consumerId, channels, daemonId],
  );
  if (shared.rows[0]) {
    const { previousChannels, reachedId, wasShared, hasDied } = shared.rows[0];
    if (!wasShared) {
      await inheritDeliveries(client, schema, { consumerId, channels, isOrdered });
    }
    if (!wasShared && hasDied) await suspectAll(client, schema, consumerId);
    return { is: 'shared', previousChannels, reachedId };
  }
  const { rows } = await client.query(
    `select paused_until as until, ${IS_PAUSED} as "isPaused", is_shared as "isShared", channels
     from ${progress} where consumer_id = $1`,
    [consumerId],
  );
  const [row] = rows as {
    until: Date | null;
    isPaused: boolean;
    isShared: boolean;
    channels: string[];
  }[];
  if (row?.isPaused) return { is: 'paused', until: row.until };
  return row?.isShared ? { is: 'another version', channels: row.channels } : { is: 'owned' };
}

type Shared = {
  previousChannels: string[];
  reachedId: number;
  wasShared: boolean;
  /** An owner did not stop cleanly: it may have died over a notification. */
  hasDied: boolean;
};

/**
 * Splits rows into leases, with each key in one slot. Rows whose order does not matter are split
 * evenly.
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

/**
 * Splits unordered notifications into at most as many leases as there are slots, and avoids small
 * ones: the overhead of a lease costs more than its content.
 */
export function splitEvenly(ids: readonly number[], kind: Lease['kind']): NewLease[] {
  const leases: NewLease[] = [];
  const size = Math.max(LEASE_ROWS_MIN, Math.ceil(ids.length / SLOTS));
  for (let index = 0; index < ids.length; index += size) {
    leases.push({ kind, slot: null, notificationIds: ids.slice(index, index + size) });
  }
  return leases;
}

/** The slot of a key, which is the same in every process and every version. */
export function slotOf(key: string): number {
  return crc32(key) % SLOTS;
}

/** The number of parts into which keys are divided: this many processes can share a consumer. */
export const SLOTS = 32;
/** The minimum number of rows per lease when unordered rows are split. */
const LEASE_ROWS_MIN = 16;
