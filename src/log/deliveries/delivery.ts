import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { sameKeySql } from './key-sql.ts';

/** An error as it is stored. Stacks and messages are cut at 10,000 characters. */
export type ErrorRecord = { name: string; message: string; code?: string; stack?: string };

/** The outcome of one notification for one consumer, unless it simply succeeded. */
export type DeliveryChange = {
  notificationId: number;
  key: string | null;
  /** Reports the outcome; called once it is committed. */
  report?: () => void;
} & (
  | { state: 'done' }
  | { state: 'blocked' }
  | {
      state: 'retry';
      attempts: number;
      delayMs: number;
      error: ErrorRecord | null;
      /** Handled carefully the next time: alone, or grouped with other suspects. */
      isSuspect?: boolean;
      isGrouped?: boolean;
      /** Set while its handler is being called: whether the attempts include that call. */
      isUnderWay?: 'counted' | 'uncounted';
    }
  | { state: 'dead'; attempts: number; error: ErrorRecord }
);

/**
 * The change that is filed while the handler is being called: if the process dies, the notification
 * is called alone next time.
 * @param isCounted whether the call counts as an attempt then. False for a group: which of its
 *   notifications killed the process is unknown
 */
export function underWay(
  { id: notificationId, key, attempt }: { id: number; key: string | null; attempt: number },
  delayMs: number,
  isCounted = true,
): DeliveryChange & { state: 'retry' } {
  const attempts = isCounted ? attempt : attempt - 1;
  const change = { notificationId, key, attempts, delayMs, error: null };
  const isUnderWay = isCounted ? 'counted' : 'uncounted';
  return { ...change, state: 'retry', isSuspect: true, isUnderWay };
}

/**
 * Files a notification that may not have been handled. With order by key it is blocked:
 * applyChanges() or wakeOrphans() makes the first one of each key due.
 */
export function unhandled(
  { id: notificationId, key }: { id: number; key: string | null },
  isOrdered: boolean,
): DeliveryChange {
  if (isOrdered && key !== null) return { notificationId, key, state: 'blocked' };
  return { notificationId, key, state: 'retry', attempts: 0, delayMs: 0, error: null };
}

/** True for a change made by underWay(). */
export function isUnderWay(change: DeliveryChange): boolean {
  return change.state === 'retry' && change.isUnderWay !== undefined;
}

/** The attempt for which its handler is being called; 0 if it is not. */
export function calledAttemptOf(change: DeliveryChange): number {
  if (change.state !== 'retry' || !change.isUnderWay) return 0;
  return change.isUnderWay === 'counted' ? change.attempts : change.attempts + 1;
}

/** True if the call failed. */
export function isFailure(
  change: DeliveryChange,
): change is DeliveryChange & { state: 'retry' | 'dead' } {
  return change.state === 'dead' || (change.state === 'retry' && change.error !== null);
}

/** Reads which of the keys have a waiting notification. */
export async function readWaitingKeys(
  client: Queryable,
  schema: string,
  consumerId: string,
  keys: readonly string[],
): Promise<string[]> {
  const { rows } = await client.query(
    `select key from unnest($2::text[]) as wanted (key)
     where exists (
       select from ${qualified(schema, 'delivery')} as d
       where d.consumer_id = $1 and ${sameKeySql('d.key', 'wanted.key')} and d.state <> 'dead')`,
    [consumerId, keys],
  );
  return (rows as { key: string }[]).map(({ key }) => key);
}

/** A consumer; if it is ordered by key, the notifications of a key wait for each other. */
export type DeliveryScope = { consumerId: string; isOrdered: boolean };

/** Keeps the last change of each notification. */
export function lastOfEach(changes: readonly DeliveryChange[]): DeliveryChange[] {
  return [...new Map(changes.map((change) => [change.notificationId, change])).values()];
}
