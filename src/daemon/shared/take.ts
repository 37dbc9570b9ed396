import type { ClientBase } from 'pg';
import type { Consumer } from '../../consumers/define.ts';
import { withTransaction } from '../../database/transaction.ts';
import { JOINT_TEXT_MAX } from '../../log/content-sql.ts';
import { mendClockBack } from '../../log/deliveries/clock-back.ts';
import { readDue } from '../../log/deliveries/due.ts';
import { readFiled, readHavingDead, readRetryCounts } from '../../log/deliveries/standing.ts';
import {
  type Lease,
  lockSharedConsumer,
  type NewLease,
  SLOTS,
  slotOf,
  splitEvenly,
  splitRows,
} from '../../log/leases/lease.ts';
import { countFreeLeases, readLeasedIds } from '../../log/leases/settle.ts';
import { readSharedPosition, saveSharedPosition } from '../../log/leases/shared-position.ts';
import {
  insertLeases,
  insertRetryLeases,
  type LeaseTake,
  takeLeases,
} from '../../log/leases/take.ts';
import { safeId } from '../../log/notification.ts';
import type { ReadPage } from '../../log/page.ts';
import type { Position } from '../../log/positions/position.ts';
import type { TakePlace } from './take-place.ts';

export type TakeOptions = {
  consumer: Consumer;
  schema: string;
  daemonId: string;
  readPage: ReadPage;
  rebasedId: number;
  limit: { rows: number; bytes: number };
  /** Reused from one take to the next. */
  place: TakePlace;
};

/**
 * What was taken, and whether there is more to read. Null if the consumer is paused, is no longer
 * shared, or is read with other channels by now.
 */
export type Taken = { leases: Lease[]; hasDead: boolean; isBehind: boolean } | null;

/**
 * Takes work of a shared consumer, in a transaction that only one process at a time can be in: due
 * retries and free leases; if those are not enough, a page after the position, which moves.
 * @param take.count the maximum number of leases
 * @param take.isDue false if no retry is expected to be due
 * @param take.mayRead whether a page may be read with this many notifications waiting for a retry
 */
export async function takeShared(
  client: ClientBase,
  options: TakeOptions,
  {
    count,
    isDue,
    mayRead,
  }: { count: number; isDue: boolean; mayRead(retryCount: number): boolean },
): Promise<Taken> {
  const { consumer, schema, place } = options;
  return withTransaction(client, async () => {
    await lockSharedConsumer(client, schema, consumer.id);
    const { id: consumerId, channels } = consumer;
    const reader = { consumerId, channels, daemonId: options.daemonId };
    const found = await readSharedPosition(client, schema, reader, place);
    if (found === null) return null;
    let { position } = found;
    await place.findFloor(client, { schema, consumerId: consumer.id }, found.given);
    const isStopping = consumer.onDead === 'stop';
    const hasDead =
      isStopping && (await readHavingDead(client, schema, [consumer.id])).has(consumer.id);
    const retryCounts = await readRetryCounts(client, schema, [consumer.id]);
    const isReading = !hasDead && mayRead(retryCounts.get(consumer.id) ?? 0);
    if (isDue) await leaseDue(client, options);
    const { floor } = place;
    const take = { consumerId: consumer.id, daemonId: options.daemonId, isStopping, floor };
    const leases = await takeLeases(client, schema, { ...take, count });
    while (isReading && leases.length < count) {
      const more = { ...take, count: count - leases.length };
      const next: Leased | null = await leasePage(client, options, position, more);
      if (next === null) break;
      position = next.reached;
      leases.push(...next.leases);
    }
    return { leases, hasDead, isBehind: position.window !== null };
  });
}

/** Makes leases of the due retries: one for each key; those without an order are split evenly. */
async function leaseDue(
  client: ClientBase,
  { consumer, schema, place }: TakeOptions,
): Promise<void> {
  if ((await countFreeLeases(client, schema, consumer.id, place.floor)) > FREE_MAX) return;
  if (place.isMendDue()) await mendClockBack(client, schema, [consumer.id]);
  const isOrdered = consumer.order === 'key';
  const workingIds = await readLeasedIds(client, schema, consumer.id, place.floor);
  const isStopping = consumer.onDead === 'stop';
  const scope = { consumerId: consumer.id, isOrdered, workingIds, isStopping };
  const due = await readDue(client, schema, [scope]);
  const chains = new Map<string, NewLease>();
  const free: number[] = [];
  for (const { notificationId, key } of due) {
    if (key === null || !isOrdered) {
      free.push(notificationId);
      continue;
    }
    const chain = chains.get(key) ?? { kind: 'retry', slot: slotOf(key), notificationIds: [] };
    chains.set(key, chain);
    chain.notificationIds.push(notificationId);
  }
  const leases = [...chains.values(), ...splitEvenly(free, 'retry')];
  await insertRetryLeases(client, schema, consumer.id, leases, place.floor);
}

/**
 * Makes leases of the next page and takes some of them. The position is read once in a transaction
 * and then kept in memory: the transaction's own id would be too old a bound for snapshots taken in
 * it.
 * @returns the position after the page, and what was taken; null if there is no page, or if too
 *   much waits already
 */
async function leasePage(
  client: ClientBase,
  options: TakeOptions,
  position: Position,
  take: LeaseTake,
): Promise<Leased | null> {
  const { consumer, schema, readPage, rebasedId, limit, place } = options;
  if ((await countFreeLeases(client, schema, consumer.id, place.floor)) > FREE_MAX) return null;
  const { channels } = consumer;
  // The process that takes a lease reads its contents.
  const request = { position, channels, limit, rebasedId, contentMax: JOINT_TEXT_MAX };
  const page = await readPage(client, request);
  if (page.after === page.before) return null;
  // Notifications with a delivery are not delivered from the page: the position may have been moved
  // back.
  const ids = page.rows.map((row) => safeId(row[0]));
  const filed = ids.length > 0 ? await readFiled(client, schema, consumer.id, ids) : NONE;
  const rows = page.rows.filter((row) => !filed.has(safeId(row[0])));
  const parts = splitRows(rows, consumer.order === 'key');
  const leases = await insertLeases(client, schema, consumer.id, parts, take);
  await saveSharedPosition(client, schema, consumer.id, page.after, place);
  return { reached: page.after, leases };
}

type Leased = { reached: Position; leases: Lease[] };

const NONE: ReadonlySet<number> = new Set();
/**
 * Enough for every process to find something, and no more: what is leased can no longer be skipped.
 */
const FREE_MAX = 4 * SLOTS;
