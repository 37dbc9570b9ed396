import type { PoolClient } from 'pg';
import type { Config } from '../../config/define.ts';
import type { Clients } from '../../database/pool.ts';
import { mendClockBack } from '../../log/deliveries/clock-back.ts';
import { readDue } from '../../log/deliveries/due.ts';
import {
  readAhead,
  readHavingDead,
  readNextDueMs,
  readRetryCounts,
  readStandingKeys,
} from '../../log/deliveries/standing.ts';
import type { Control } from '../control/control.ts';
import type { AtWork } from './at-work.ts';
import type { OwnedDispatcher } from './dispatcher.ts';

export type RetriesOptions = {
  config: Config;
  control: Control;
  pool: Clients;
  atWork: AtWork;
};

/**
 * Delivers the retries that are due, for all consumers that this process owns, in one statement and
 * by the server's clock. The database decides what is due, so dead letters that are retried
 * manually come the same way.
 */
export async function runRetries(options: RetriesOptions, signal: AbortSignal): Promise<void> {
  const { config, control, pool, atWork } = options;
  for (let nextMendAt = 0; !signal.aborted; ) {
    control.retries.clear();
    const { dispatchers } = atWork;
    if (dispatchers.length > 0 && performance.now() > nextMendAt) {
      nextMendAt = performance.now() + MEND_MS;
      await readOf(dispatchers, pool, config.schema, mendClockBack);
    }
    // Read before retryDue(): otherwise neither would see what becomes due in between.
    const nextMs = await readOf(dispatchers, pool, config.schema, readNextDueMs);
    await updateBrakes(dispatchers.filter(isOpen), pool, config.schema);
    await retryDue(dispatchers, pool, config.schema);
    const waitMs = Math.min(nextMs ?? NEVER_MS, config.pollIntervalMs, MEND_MS);
    await control.retries.wait(waitMs, signal);
  }
}

/** Delivers the retries that are due now. Returns how many there were. */
export async function retryDue(
  dispatchers: readonly OwnedDispatcher[],
  pool: Clients,
  schema: string,
): Promise<number> {
  const idle = dispatchers.filter(isOpen).filter(({ working }) => working.size < WORKING_MAX);
  if (idle.length === 0) return 0;
  const holding = idle.filter(({ working }) => working.isHolding);
  const ahead = await readOf(holding, pool, schema, readAhead);
  for (const { working, consumerId } of holding) working.hold(ahead?.get(consumerId) ?? []);
  const due = await pool.withClient((client) => {
    const looks = idle.map((dispatcher) => {
      const { consumerId, isOrdered, isStopping } = dispatcher;
      return { consumerId, isOrdered, isStopping, workingIds: dispatcher.working.look() };
    });
    return readDue(client, schema, looks);
  });
  const byConsumer = Map.groupBy(due, ({ consumerId }) => consumerId);
  for (const dispatcher of idle) {
    const own = byConsumer.get(dispatcher.consumerId);
    if (own) dispatcher.retry(own);
  }
  return due.length;
}

/** False for dispatchers of an earlier session, which only finish. */
function isOpen({ life }: OwnedDispatcher): boolean {
  return !life.ended.aborted && !life.isClosed;
}

/** Releases brakes whose reason is gone, and recounts before one would be applied. */
async function updateBrakes(
  dispatchers: readonly OwnedDispatcher[],
  pool: Clients,
  schema: string,
): Promise<void> {
  const halted = dispatchers.filter(({ brake }) => brake.isHalted);
  const looks = halted.map(({ brake, consumerId }) => ({ consumerId, tell: brake.look() }));
  const havingDead = await readOf(halted, pool, schema, readHavingDead);
  // A retried dead letter goes first: later notifications of its key have waited for it.
  const freed = halted.filter(({ consumerId }) => !havingDead?.has(consumerId));
  const keys = await readOf(freed, pool, schema, readStandingKeys);
  for (const dispatcher of freed) dispatcher.learnFailing(keys?.get(dispatcher.consumerId) ?? []);
  for (const { consumerId, tell } of looks) tell(havingDead?.has(consumerId) ?? false);
  const filling = dispatchers.filter(({ brake }) => brake.isFilling);
  const recounts = filling.map(({ brake, consumerId }) => ({ consumerId, tell: brake.recount() }));
  const counts = await readOf(filling, pool, schema, readRetryCounts);
  for (const { consumerId, tell } of recounts) tell(counts?.get(consumerId) ?? 0);
}

/** Undefined if there are no dispatchers. */
async function readOf<T>(
  dispatchers: readonly OwnedDispatcher[],
  pool: Clients,
  schema: string,
  read: (client: PoolClient, schema: string, consumerIds: string[]) => Promise<T>,
): Promise<T | undefined> {
  if (dispatchers.length === 0) return undefined;
  const ids = dispatchers.map(({ consumerId }) => consumerId);
  return pool.withClient((client) => read(client, schema, ids));
}

/** How often it checks whether the clock has gone back. */
const MEND_MS = 5000;
const NEVER_MS = Number.POSITIVE_INFINITY;
/** How many deliveries of a consumer may be in progress before it gets no more. */
const WORKING_MAX = 200;
