import type { ClientBase } from 'pg';
import type { Consumer } from '../consumers/define.ts';
import { withTransaction } from '../database/transaction.ts';
import { readDue } from '../log/due.ts';
import {
  insertLeases,
  type Lease,
  lockSharedConsumer,
  type NewLease,
  readSharedPosition,
  SLOTS,
  saveSharedPosition,
  slotOf,
  splitEvenly,
  splitRows,
  takeLeases,
} from '../log/lease.ts';
import { countFreeLeases, readLeasedIds } from '../log/lease-settle.ts';
import { safeId } from '../log/notification.ts';
import type { ReadPage } from '../log/page.ts';
import type { Position } from '../log/position.ts';
import { readFiled, readHavingDead, readRetryCounts } from '../log/standing.ts';

export type TakeOptions = {
  consumer: Consumer;
  schema: string;
  daemonId: string;
  readPage: ReadPage;
  rebasedId: number;
  limit: { rows: number; bytes: number };
};

/**
 * What was taken, and whether more was found than was read; null where the consumer is paused, or not
 * shared any longer.
 */
export type Taken = { leases: Lease[]; hasDead: boolean; isBehind: boolean } | null;

/**
 * Takes work of a shared consumer, in one transaction that only one process at a time is in: what is
 * due again and what nobody works on; where that is not enough, a page behind the position, which
 * moves on.
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
  const { consumer, schema } = options;
  return withTransaction(client, async () => {
    await lockSharedConsumer(client, schema, consumer.id);
    let position = await readSharedPosition(client, schema, consumer.id);
    if (position === null) return null;
    const isStopping = consumer.onDead === 'stop';
    const hasDead =
      isStopping && (await readHavingDead(client, schema, [consumer.id])).has(consumer.id);
    const retryCounts = await readRetryCounts(client, schema, [consumer.id]);
    const isReading = !hasDead && mayRead(retryCounts.get(consumer.id) ?? 0);
    if (isDue) await leaseDue(client, options);
    const take = { consumerId: consumer.id, daemonId: options.daemonId, isStopping };
    const leases = await takeLeases(client, schema, { ...take, count });
    while (isReading && leases.length < count) {
      const reached: Position | null = await leasePage(client, options, position);
      if (reached === null) break;
      position = reached;
      const more = { ...take, count: count - leases.length };
      leases.push(...(await takeLeases(client, schema, more)));
    }
    return { leases, hasDead, isBehind: position.window !== null };
  });
}

/**
 * What is due becomes leases, which wait for those of their slot like others: one for each key, and those
 * whose order does not matter split evenly.
 */
async function leaseDue(client: ClientBase, { consumer, schema }: TakeOptions): Promise<void> {
  if ((await countFreeLeases(client, schema, consumer.id)) > FREE_MAX) return;
  const isOrdered = consumer.order === 'key';
  const workingIds = await readLeasedIds(client, schema, consumer.id);
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
  await insertLeases(client, schema, consumer.id, leases);
}

/**
 * The next page becomes leases. The position is read once in a transaction and carried on from there:
 * its id would be too old a bound for a snapshot that was taken in it.
 * @returns the position behind the page; null where there is none, or too much waits already
 */
async function leasePage(
  client: ClientBase,
  options: TakeOptions,
  position: Position,
): Promise<Position | null> {
  const { consumer, schema, readPage, rebasedId, limit } = options;
  if ((await countFreeLeases(client, schema, consumer.id)) > FREE_MAX) return null;
  const { channels } = consumer;
  const page = await readPage(client, { position, channels, limit, rebasedId });
  if (page.after === page.before) return null;
  // What has a row is not handed out from its page: a position may have been moved back.
  const ids = page.rows.map((row) => safeId(row[0]));
  const filed = ids.length > 0 ? await readFiled(client, schema, consumer.id, ids) : NONE;
  const rows = page.rows.filter((row) => !filed.has(safeId(row[0])));
  const leases = splitRows(rows, consumer.order === 'key');
  await insertLeases(client, schema, consumer.id, leases);
  await saveSharedPosition(client, schema, consumer.id, page.after);
  return page.after;
}

const NONE: ReadonlySet<number> = new Set();
/** Enough for every process to find something, and no more: what is leased cannot be skipped. */
const FREE_MAX = 4 * SLOTS;
