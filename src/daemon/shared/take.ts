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
import { readSharedPosition, saveSharedPosition } from '../../log/leases/position.ts';
import { countFreeLeases, readLeasedIds } from '../../log/leases/settle.ts';
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
  /** Kept from one take to the next. */
  place: TakePlace;
};

/**
 * What was taken, and whether more was found than was read; null where the consumer is paused, or
 * not shared any longer, or read with other channels by now.
 */
export type Taken = { leases: Lease[]; hasDead: boolean; isBehind: boolean } | null;

/**
 * Takes work of a shared consumer, in one transaction that only one process at a time is in: what
 * is due again and what nobody works on; where that is not enough, a page behind the position,
 * which moves on.
 * @param take.count how many leases at most
 * @param take.isDue false where nothing is expected to be due
 * @param take.mayRead whether a page may be read while so many wait for a retry
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

/**
 * What is due becomes leases: one for each key, and those whose order does not matter split evenly.
 */
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
 * The next page becomes leases, of which some are taken. The position is read once in a transaction
 * and carried on from there: its id would be too old a bound for a snapshot that was taken in it.
 * @returns the position behind the page, and what was taken; null where there is none, or too much
 *   waits already
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
  // Whoever takes a lease reads what is in it.
  const request = { position, channels, limit, rebasedId, contentMax: JOINT_TEXT_MAX };
  const page = await readPage(client, request);
  if (page.after === page.before) return null;
  // What has a row is not handed out from its page: a position may have been moved back.
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
/** Enough for every process to find something, and no more: what is leased cannot be skipped. */
const FREE_MAX = 4 * SLOTS;
