import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import type { LogRow } from '../../log/notification.ts';

/** One notification that a consumer is to handle. */
export type Task = {
  readonly row: LogRow;
  readonly id: number;
  readonly key: string | null;
  readonly isReplay: boolean;
  /** Which call this is, from 1. */
  readonly attempt: number;
  /** True if it has a delivery, which success removes. */
  isFiled: boolean;
  /** True if its delivery already counts this call, before the outcome is known. */
  isRecorded?: boolean;
  /** True if its delivery records this call without counting it: it was recorded in a group. */
  isGrouped?: boolean;
  /**
   * Shared by deliveries of one key that are called in order: broken once one of them has failed,
   * so that those after it keep waiting.
   */
  readonly chain?: { isBroken: boolean };
  /** Where it came from, and its index there; null if that is already settled, or for a retry. */
  source: TaskSource | null;
  readonly index: number;
};

/** What tracks a task: a page of the ledger, or a lease. */
export interface TaskSource {
  isSettled(index: number): boolean;
  settle(index: number): void;
}

/** What is needed to settle a task. */
export type Place = Pick<Task, 'id' | 'isReplay' | 'source' | 'index'>;

/** A task that is done or has a change to file, and that change; null: nothing to record. */
export type Settled = { task: Place; change: DeliveryChange | null };

/** The task after it was recorded, alone or in a group. */
export function recorded(task: Task, isAlone: boolean, source = task.source): Task {
  return { ...task, isFiled: true, isRecorded: isAlone, isGrouped: !isAlone, source };
}

/** Takes back the record of a call that was not made, or not finished. */
export function uncalled(task: Task): Settled {
  const { id: notificationId, key, attempt, isGrouped = false } = task;
  const change = { notificationId, key, attempts: attempt - 1, delayMs: 0, error: null };
  return { task, change: { ...change, state: 'retry', isSuspect: true, isGrouped } };
}

/** Settles a task that waits for an earlier one of its key, which fails. */
export function blocked(task: Task): Settled {
  const { id: notificationId, key, isFiled, isRecorded, isGrouped } = task;
  if (isGrouped) return uncalled(task);
  // The row of a recorded task says that it is being called; any other row already says that it
  // waits.
  const isWaiting = isFiled && !isRecorded;
  return { task, change: isWaiting ? null : { notificationId, key, state: 'blocked' } };
}
