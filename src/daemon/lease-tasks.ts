import type { Clients } from '../database/pool.ts';
import { readWaitingKeys, underWay } from '../log/delivery.ts';
import { readRows } from '../log/due.ts';
import { recordAttempt } from '../log/lease-settle.ts';
import { type LogRow, safeId } from '../log/notification.ts';
import type { Calling } from './calling.ts';
import type { FailingKeys } from './failing-keys.ts';
import type { LeaseWork } from './lease-work.ts';
import type { Settled, Task } from './task.ts';

type Options = { calling: Calling; pool: Clients; schema: string };

/** The tasks of leases, and what is settled because the log has lost it meanwhile. */
export async function readTasks(
  options: Options,
  works: readonly LeaseWork[],
  failing: FailingKeys,
): Promise<{ tasks: Task[]; gone: Settled[] }> {
  const ids = works.flatMap(({ lease }) => lease.notificationIds);
  const byId = ids.length === 0 ? NO_ROWS : await readById(options, ids, failing);
  const tasks: Task[] = [];
  const gone: Settled[] = [];
  for (const work of works) {
    for (const [index, id] of work.lease.notificationIds.entries()) {
      const row = byId.get(id);
      const place = { id, isReplay: false, source: work, index };
      if (row) tasks.push({ ...place, row, key: row[4], attempt: 1, isFiled: false });
      else gone.push({ task: place, change: null });
    }
  }
  return { tasks, gone };
}

/** What of a lease is settled without a call: it has its delivery, or nothing is left of it. */
export function untouched(work: LeaseWork, ids: readonly number[]): Settled[] {
  return ids.map((id) => {
    const index = work.lease.notificationIds.indexOf(id);
    return { task: { id, isReplay: false, source: work, index }, change: null };
  });
}

/** Writes down that it is about to be called. False where the lease is another's by now. */
export async function recordLeased(
  { calling, pool, schema }: Options,
  task: Task,
): Promise<boolean> {
  const { id: consumerId, order, backoffMs } = calling.consumer;
  const scope = { consumerId, isOrdered: order === 'key' };
  const { lease } = task.source as LeaseWork;
  const change = underWay(task, backoffMs(task.attempt));
  return pool.withClient((client) => recordAttempt(client, schema, scope, lease, change));
}

/** The rows; and which of their keys wait is known then. */
async function readById(
  { calling, pool, schema }: Options,
  ids: readonly number[],
  failing: FailingKeys,
): Promise<Map<number, LogRow>> {
  const { id: consumerId, order } = calling.consumer;
  const rows = await pool.withClient(async (client) => {
    const found = await readRows(client, schema, ids);
    if (order !== 'key') return found;
    const keys = [...new Set(found.flatMap((row) => row[4] ?? []))];
    failing.refresh(keys, await readWaitingKeys(client, schema, consumerId, keys));
    return found;
  });
  return new Map(rows.map((row) => [safeId(row[0]), row]));
}

const NO_ROWS = new Map<number, LogRow>();
