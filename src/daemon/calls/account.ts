import type { PoolClient } from 'pg';
import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import type { FailingKeys } from './failing-keys.ts';
import type { Place, Settled } from './task.ts';

/** Keeps the account of what a crew does, and settles it. */
export interface Account {
  readonly failing: FailingKeys;
  /** The task is through; the account sees to it that this is saved. */
  settle(task: Place, change: DeliveryChange | null): void;
  /** A transaction is about to begin: it may settle what was read until now. */
  onBegin(): void;
  /**
   * Settles tasks in a transaction.
   * @returns the keys that still have a notification waiting; null where they are not ours any
   *   longer
   */
  settleIn(client: PoolClient, settled: readonly Settled[]): Promise<string[] | null>;
  /** That transaction has committed. */
  onCommitted(settled: readonly Settled[], waitingKeys: readonly string[]): void;
  /** What the tasks belong to is another process's by now. */
  onFenced(): void;
  /** The workers have ended for good; untilIdle() tells why. */
  onFailed(): void;
}
