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
  /** True where it has a delivery by now: success removes that. */
  isFiled: boolean;
  /** True where its delivery counts this call already, before its outcome is known. */
  isRecorded?: boolean;
  /**
   * True where its delivery says that it is called, but counts nothing: it was recorded in a group.
   */
  isGrouped?: boolean;
  /**
   * For notifications of a key that come one behind the other from the deliveries: true once one of
   * them has failed, so that those behind it keep waiting.
   */
  readonly chain?: { isBroken: boolean };
  /** Where it came from, and its place there; null where that is settled, or it comes again. */
  source: TaskSource | null;
  readonly index: number;
};

/** What keeps the account of a task: a page of the ledger, or a lease. */
export interface TaskSource {
  isSettled(index: number): boolean;
  settle(index: number): void;
}

/** What it takes to settle a task. */
export type Place = Pick<Task, 'id' | 'isReplay' | 'source' | 'index'>;

/** A task that is through, and what is to be written down of it; null: nothing. */
export type Settled = { task: Place; change: DeliveryChange | null };

/** The task once it is recorded, alone or in a group. */
export function recorded(task: Task, isAlone: boolean, source = task.source): Task {
  return { ...task, isFiled: true, isRecorded: isAlone, isGrouped: !isAlone, source };
}

/** Takes back what was recorded of one that was then not called, or not to its end. */
export function uncalled(task: Task): Settled {
  const { id: notificationId, key, attempt, isGrouped = false } = task;
  const change = { notificationId, key, attempts: attempt - 1, delayMs: 0, error: null };
  return { task, change: { ...change, state: 'retry', isSuspect: true, isGrouped } };
}

/** Settles one that waits for an earlier one of its key, which fails. */
export function blocked(task: Task): Settled {
  const { id: notificationId, key, isFiled, isRecorded, isGrouped } = task;
  if (isGrouped) return uncalled(task);
  // The row of one that was recorded says that it is being called; any other says already that it
  // waits.
  const isWaiting = isFiled && !isRecorded;
  return { task, change: isWaiting ? null : { notificationId, key, state: 'blocked' } };
}
