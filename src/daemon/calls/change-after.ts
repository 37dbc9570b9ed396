import type { Consumer } from '../../consumers/define.ts';
import type { Ended } from '../../consumers/outcome.ts';
import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import { errorRecord } from '../../log/deliveries/error-record.ts';
import type { Task } from './task.ts';
import type { Verdict } from './transaction/loss.ts';

/** What the change depends on. */
type Called = Pick<Task, 'id' | 'key' | 'attempt' | 'isFiled' | 'isRecorded'>;
type Policy = Pick<Consumer, 'attemptsMax' | 'backoffMs'>;

/** What to record about a notification after a call; null: nothing. */
export function changeAfter(consumer: Policy, task: Called, outcome: Ended): DeliveryChange | null {
  const { id: notificationId, key, attempt } = task;
  if (outcome.type === 'done') {
    return task.isFiled ? { notificationId, key, state: 'done' } : null;
  }
  const error = errorRecord(outcome.error);
  const retryAfterMs = outcome.type === 'failed' ? outcome.retryAfterMs : null;
  const isSpent = retryAfterMs === null && attempt >= consumer.attemptsMax;
  if (outcome.type === 'dead' || isSpent) {
    return { notificationId, key, error, state: 'dead', attempts: attempt };
  }
  return {
    notificationId,
    key,
    error,
    state: 'retry',
    // RetryAfter does not spend an attempt.
    attempts: retryAfterMs === null ? attempt : attempt - 1,
    delayMs: retryAfterMs ?? consumer.backoffMs(attempt),
  };
}

/**
 * Like changeAfter(), for a notification whose call may have lost the transaction. Only a call that
 * was recorded and made alone proves that it is to blame: until then, the last attempt is not
 * spent.
 */
export function changeAfterLoss(
  consumer: Policy,
  task: Called,
  { error, verdict }: { error: Error; verdict: Verdict },
): DeliveryChange & { state: 'retry' | 'dead' } {
  const { id: notificationId, key, attempt, isRecorded = false } = task;
  const isSpent = isRecorded || (verdict === 'the call' && attempt < consumer.attemptsMax);
  const about = { notificationId, key, error: errorRecord(error) };
  if (isSpent && attempt >= consumer.attemptsMax) {
    return { ...about, state: 'dead', attempts: attempt };
  }
  const attempts = isSpent ? attempt : attempt - 1;
  return {
    ...about,
    state: 'retry',
    attempts,
    delayMs: consumer.backoffMs(attempt),
    isSuspect: true,
  };
}
