import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { sameKeySql } from './key-sql.ts';

/** What is kept of an error. Stacks and messages are cut at 10,000 characters. */
export type ErrorRecord = { name: string; message: string; code?: string; stack?: string };

/** What becomes of one notification for one consumer, where it is not plain success. */
export type DeliveryChange = {
  notificationId: number;
  key: string | null;
  /** Says what became of it: called once that is committed. */
  report?: () => void;
} & (
  | { state: 'done' }
  | { state: 'blocked' }
  | {
      state: 'retry';
      attempts: number;
      delayMs: number;
      error: ErrorRecord | null;
      /** Called carefully the next time: alone, or grouped with others like it. */
      isSuspect?: boolean;
      isGrouped?: boolean;
      /** Its handler is being called; whether the attempts count that call. */
      isUnderWay?: 'counted' | 'uncounted';
    }
  | { state: 'dead'; attempts: number; error: ErrorRecord }
);

/**
 * Filed while its handler is being called: should the process die, it is called alone.
 * @param isCounted whether the call counts then. Of a group nobody knows which one it was
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

/** True for what underWay() makes. */
export function isUnderWay(change: DeliveryChange): boolean {
  return change.state === 'retry' && change.isUnderWay !== undefined;
}

/** True where its call has failed. */
export function isFailure(
  change: DeliveryChange,
): change is DeliveryChange & { state: 'retry' | 'dead' } {
  return change.state === 'dead' || (change.state === 'retry' && change.error !== null);
}

/** Which of the keys have a notification that waits. */
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

/** Whose deliveries: with order by key, the notifications of a key wait for each other. */
export type DeliveryScope = { consumerId: string; isOrdered: boolean };

/** Of several changes of one notification the last holds. */
export function lastOfEach(changes: readonly DeliveryChange[]): DeliveryChange[] {
  return [...new Map(changes.map((change) => [change.notificationId, change])).values()];
}
