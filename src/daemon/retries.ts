import type { Config } from '../config/define.ts';
import type { Pool } from '../database/pool.ts';
import { readDue, readHavingDead, readNextDueMs, readRetryCounts } from '../log/due.ts';
import type { Control } from './control.ts';
import type { OwnedDelivery } from './owned-delivery.ts';
import type { Running } from './ownership.ts';

export type RetriesOptions = {
  config: Config;
  control: Control;
  pool: Pool;
  running: ReadonlyMap<string, Running>;
};

/**
 * Hands out what is due again: for all consumers that this process owns, in one statement, by the
 * clock of the server. What is due is what the database says, so that a dead letter that somebody
 * retries comes the same way.
 */
export async function runRetries(options: RetriesOptions, signal: AbortSignal): Promise<void> {
  const { config, control, pool, running } = options;
  while (!signal.aborted) {
    control.retries.clear();
    const deliveries = [...running.values()].map(({ runner }) => runner.delivery);
    // Before it: what becomes due in between would be seen by neither.
    const nextMs = await untilDueMs(deliveries, pool, config.schema);
    await retryDue(deliveries, pool, config.schema);
    await control.retries.wait(Math.min(nextMs, config.pollIntervalMs), signal);
  }
}

/** Hands out what is due now. Returns how much that was. */
export async function retryDue(
  deliveries: readonly OwnedDelivery[],
  pool: Pool,
  schema: string,
): Promise<number> {
  // Those of a session before are only waited for.
  const open = deliveries.filter(({ ended, isClosed }) => !ended.aborted && !isClosed);
  await updateHalted(open, pool, schema);
  await countRetries(open, pool, schema);
  const idle = open.filter(({ working }) => working.size < WORKING_MAX);
  if (idle.length === 0) return 0;
  const due = await pool.withClient((client) => {
    const looks = idle.map((delivery) => {
      const { consumerId, isOrdered } = delivery;
      return { consumerId, isOrdered, workingIds: delivery.working.look() };
    });
    return readDue(client, schema, looks);
  });
  const byConsumer = Map.groupBy(due, ({ consumerId }) => consumerId);
  for (const delivery of idle) {
    const own = byConsumer.get(delivery.consumerId);
    if (own) delivery.retry(own);
  }
  return due.length;
}

async function untilDueMs(
  deliveries: readonly OwnedDelivery[],
  pool: Pool,
  schema: string,
): Promise<number> {
  const ids = deliveries.map(({ consumerId }) => consumerId);
  if (ids.length === 0) return Number.POSITIVE_INFINITY;
  const nextMs = await pool.withClient((client) => readNextDueMs(client, schema, ids));
  return nextMs ?? Number.POSITIVE_INFINITY;
}

/** Whether consumers that stop at a dead letter may go on. */
async function updateHalted(
  deliveries: readonly OwnedDelivery[],
  pool: Pool,
  schema: string,
): Promise<void> {
  const halted = deliveries.filter(({ brake }) => brake.isHalted);
  if (halted.length === 0) return;
  const ids = halted.map(({ consumerId }) => consumerId);
  const havingDead = await pool.withClient((client) => readHavingDead(client, schema, ids));
  for (const { brake, consumerId } of halted) brake.halt(havingDead.has(consumerId));
}

/** Whether consumers that have too many waiting may take more. */
async function countRetries(
  deliveries: readonly OwnedDelivery[],
  pool: Pool,
  schema: string,
): Promise<void> {
  const overfull = deliveries.filter(({ brake }) => brake.isOverfull);
  if (overfull.length === 0) return;
  const ids = overfull.map(({ consumerId }) => consumerId);
  const counts = await pool.withClient((client) => readRetryCounts(client, schema, ids));
  for (const { brake, consumerId } of overfull) brake.countRetries(counts.get(consumerId) ?? 0);
}

/** So many of a consumer may be under way before it gets no more. */
const WORKING_MAX = 200;
