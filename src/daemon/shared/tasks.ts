import type { Clients } from '../../database/pool.ts';
import { readWaitingKeys, underWay } from '../../log/deliveries/delivery.ts';
import { readLeasedDeliveries, readRows } from '../../log/deliveries/due.ts';
import { readFiled } from '../../log/deliveries/standing.ts';
import { recordAttempts } from '../../log/leases/settle.ts';
import { type LogRow, safeId } from '../../log/notification.ts';
import type { Calling } from '../calls/calling.ts';
import type { FailingKeys } from '../calls/failing-keys.ts';
import { type RetryWork, retryTasks } from '../calls/retry-tasks.ts';
import type { Place, Settled, Task } from '../calls/task.ts';
import type { LeaseWork } from './work.ts';

type Options = { calling: Calling; pool: Clients; schema: string };

/** The contents of leases: what is to be called, and what is settled without a call. */
type Held = { tasks: Task[]; settled: Settled[] };

/** The tasks of leases, except notifications that are no longer in the log. */
export async function readTasks(
  options: Options,
  works: readonly LeaseWork[],
  failing: FailingKeys,
): Promise<Held> {
  const ids = works.flatMap(({ lease }) => lease.notificationIds);
  const byId = ids.length === 0 ? NO_ROWS : await readById(options, ids, failing);
  const tasks: Task[] = [];
  const settled: Settled[] = [];
  for (const work of works) {
    for (const [index, id] of work.lease.notificationIds.entries()) {
      const row = byId.get(id);
      const place = { id, isReplay: false, source: work, index };
      if (row) tasks.push({ ...place, row, key: row[4], attempt: 1, isFiled: false });
      else settled.push({ task: place, change: null });
    }
  }
  return { tasks, settled };
}

/**
 * Like readTasks(), but without notifications that have a delivery: they were recorded before they
 * were called, and become due by that.
 */
export async function readUnrecorded(
  options: Options,
  works: readonly LeaseWork[],
  failing: FailingKeys,
): Promise<Held> {
  const { calling, pool, schema } = options;
  const ids = works.flatMap(({ lease }) => lease.notificationIds);
  if (ids.length === 0) return { tasks: [], settled: [] };
  const filed = await pool.withClient((client) =>
    readFiled(client, schema, calling.consumer.id, ids),
  );
  const { tasks, settled } = await readTasks(options, works, failing);
  const recorded = untouched(works, (id) => filed.has(id));
  const isOpen = ({ id }: Place) => !filed.has(id);
  return {
    tasks: tasks.filter(isOpen),
    settled: [...recorded, ...settled.filter(({ task }) => isOpen(task))],
  };
}

/** The tasks of leases that hold due deliveries. */
export async function readRetries(
  { calling, pool, schema }: Options,
  works: readonly LeaseWork[],
  isSuspected: (id: number) => boolean,
): Promise<Omit<RetryWork, 'dead'> & Held> {
  const workOf = new Map(
    works.flatMap((work) => work.lease.notificationIds.map((id) => [id, work])),
  );
  const ids = [...workOf.keys()];
  const { id: consumerId, order, onDead } = calling.consumer;
  const scope = { consumerId, isOrdered: order === 'key', isStopping: onDead === 'stop' };
  const due =
    ids.length === 0
      ? []
      : await pool.withClient((client) => readLeasedDeliveries(client, schema, scope, ids));
  const placeOf = (id: number) => {
    const source = workOf.get(id) as LeaseWork;
    return { source, index: source.lease.notificationIds.indexOf(id) };
  };
  const { dead, ...work } = retryTasks(calling, due, { isSuspected, placeOf });
  const found = new Set([...work.tasks, ...dead.map(({ task }) => task)].map(({ id }) => id));
  return { ...work, settled: [...untouched(works, (id) => !found.has(id)), ...dead] };
}

/** Settles notifications without a call: they have deliveries, or no longer exist. */
function untouched(works: readonly LeaseWork[], isMeant: (id: number) => boolean): Settled[] {
  return works.flatMap((source) =>
    source.lease.notificationIds.flatMap((id, index) =>
      isMeant(id) ? { task: { id, isReplay: false, source, index }, change: null } : [],
    ),
  );
}

/**
 * Records that they are about to be called.
 * @param isAlone true if the attempt counts, because there is only one
 * @returns false if a lease belongs to another process by now
 */
export async function recordLeased(
  { calling, pool, schema }: Options,
  tasks: readonly Task[],
  isAlone: boolean,
): Promise<boolean> {
  const { id: consumerId, order, backoffMs } = calling.consumer;
  const scope = { consumerId, isOrdered: order === 'key' };
  const leases = [...new Set(tasks.map(({ source }) => (source as LeaseWork).lease))];
  const changes = tasks.map((task) => underWay(task, backoffMs(task.attempt), isAlone));
  return pool.withClient((client) => recordAttempts(client, schema, scope, leases, changes));
}

/** Reads the rows, and refreshes which of their keys have a notification waiting. */
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
