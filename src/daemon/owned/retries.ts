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
 * Hands out what is due again: for all consumers that this process owns, in one statement, by the
 * clock of the server. What is due is what the database says, so that a dead letter that somebody
 * retries comes the same way.
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
    // Before it: what becomes due in between would be seen by neither.
    const nextMs = await readOf(dispatchers, pool, config.schema, readNextDueMs);
    await updateBrakes(dispatchers.filter(isOpen), pool, config.schema);
    await retryDue(dispatchers, pool, config.schema);
    const waitMs = Math.min(nextMs ?? NEVER_MS, config.pollIntervalMs, MEND_MS);
    await control.retries.wait(waitMs, signal);
  }
}

/** Hands out what is due now. Returns how much that was. */
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

/** False for those of a session before, which are only waited for. */
function isOpen({ life }: OwnedDispatcher): boolean {
  return !life.ended.aborted && !life.isClosed;
}

/**
 * Takes the brakes off where what they are on for is over, and counts before one would be put on.
 */
async function updateBrakes(
  dispatchers: readonly OwnedDispatcher[],
  pool: Clients,
  schema: string,
): Promise<void> {
  const halted = dispatchers.filter(({ brake }) => brake.isHalted);
  const looks = halted.map(({ brake, consumerId }) => ({ consumerId, tell: brake.look() }));
  const havingDead = await readOf(halted, pool, schema, readHavingDead);
  // A dead letter that was retried goes first: what has come of its key since was kept back by it.
  const freed = halted.filter(({ consumerId }) => !havingDead?.has(consumerId));
  const keys = await readOf(freed, pool, schema, readStandingKeys);
  for (const dispatcher of freed) dispatcher.learnFailing(keys?.get(dispatcher.consumerId) ?? []);
  for (const { consumerId, tell } of looks) tell(havingDead?.has(consumerId) ?? false);
  const filling = dispatchers.filter(({ brake }) => brake.isFilling);
  const recounts = filling.map(({ brake, consumerId }) => ({ consumerId, tell: brake.recount() }));
  const counts = await readOf(filling, pool, schema, readRetryCounts);
  for (const { consumerId, tell } of recounts) tell(counts?.get(consumerId) ?? 0);
}

/** Undefined if there are none to read of. */
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

/** How often it looks whether the clock has gone back. */
const MEND_MS = 5000;
const NEVER_MS = Number.POSITIVE_INFINITY;
/** So many of a consumer may be under way before it gets no more. */
const WORKING_MAX = 200;
