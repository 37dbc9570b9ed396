import type { PoolClient } from 'pg';
import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import type { FailingKeys } from './failing-keys.ts';
import type { Place, Settled } from './task.ts';

/** Tracks what a crew does, and settles it. */
export interface Account {
  readonly failing: FailingKeys;
  /** The task is done or has a change to file; the account has it saved. */
  settle(task: Place, change: DeliveryChange | null): void;
  /** A transaction is about to begin: it may settle what has been read so far. */
  onBegin(): void;
  /**
   * Settles tasks in a transaction.
   * @returns the keys that still have a notification waiting; null if the tasks now belong to
   *   another process
   */
  settleIn(client: PoolClient, settled: readonly Settled[]): Promise<string[] | null>;
  /** The transaction of settleIn() has committed. */
  onCommitted(settled: readonly Settled[], waitingKeys: readonly string[]): void;
  /** The consumer or lease of the tasks now belongs to another process. */
  onFenced(): void;
  /** The workers have ended for good; untilIdle() rejects with the reason. */
  onFailed(): void;
}
