import { callHandler } from '../../consumers/call.ts';
import { CallContext, type CallTools } from '../../consumers/context.ts';
import type { Consumer } from '../../consumers/define.ts';
import type { Ended, Outcomes } from '../../consumers/outcome.ts';
import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import { errorRecord } from '../../log/deliveries/error-record.ts';
import { Notification } from '../../log/notification.ts';
import type { Reporter } from '../../reporter.ts';
import type { FailureReports } from './failure-reports.ts';
import type { Meter } from './meter.ts';
import { reportFailure } from './report-failure.ts';
import type { Task } from './task.ts';
import type { Verdict } from './transaction/loss.ts';

/** What calling a consumer's handlers takes. */
export type Calling = {
  consumer: Consumer;
  tools: CallTools;
  reporter: Reporter;
  failures: FailureReports;
  meter: Meter;
  /** How long the server may take to answer between the calls of a transaction. */
  answerMsMax: number;
  /** Aborts when the daemon will not wait for handlers any longer. */
  abandon: AbortSignal;
};

/** Calls the handler for tasks. As callHandler. */
export function callTasks(
  calling: Calling,
  tasks: readonly Task[],
  tools = calling.tools,
): Outcomes | Promise<Outcomes> {
  const { consumer, abandon } = calling;
  const attempt = tasks[0]?.attempt ?? 1;
  const notifications = tasks.map((task) => new Notification(task.row, task));
  const context = new CallContext(consumer.id, attempt, tools);
  return callHandler({ consumer, notifications, context, abandon });
}

/**
 * What becomes of a notification over whose call the transaction was lost. Only a call that was made
 * alone, and written down, proves that it is to blame: before that no attempt is its last.
 */
export function changeAfterLoss(
  calling: Calling,
  task: Task,
  { error, verdict }: { error: Error; verdict: Verdict },
): DeliveryChange | null {
  const { attemptsMax, backoffMs } = calling.consumer;
  const { id: notificationId, key, attempt, isRecorded = false } = task;
  const isSpent = isRecorded || (verdict === 'the call' && attempt < attemptsMax);
  if (isSpent) {
    const change = changeAfter(calling, task, { type: 'failed', error, retryAfterMs: null });
    return change?.state === 'retry' ? { ...change, isSuspect: true } : change;
  }
  if (task.chain) task.chain.isBroken = true;
  const delayMs = backoffMs(attempt);
  reportFailure(calling, task, { error, delayMs });
  const about = { notificationId, key, error: errorRecord(error), isSuspect: true };
  return { ...about, state: 'retry', attempts: attempt - 1, delayMs };
}

/**
 * What becomes of a notification after a call, and says so where that is no success. Null: nothing
 * is to be written down.
 */
export function changeAfter(calling: Calling, task: Task, outcome: Ended): DeliveryChange | null {
  const { consumer } = calling;
  const { id: notificationId, key, attempt } = task;
  if (outcome.type === 'done') {
    return task.isFiled ? { notificationId, key, state: 'done' } : null;
  }
  if (task.chain) task.chain.isBroken = true;
  const { error } = outcome;
  const retryAfterMs = outcome.type === 'failed' ? outcome.retryAfterMs : null;
  const isDead =
    outcome.type === 'dead' || (retryAfterMs === null && attempt >= consumer.attemptsMax);
  const delayMs = retryAfterMs ?? consumer.backoffMs(attempt);
  const report = reportFailure(calling, task, { error, delayMs: isDead ? null : delayMs });
  const about = { notificationId, key, error: errorRecord(error), report };
  if (isDead) return { ...about, state: 'dead', attempts: attempt };
  return {
    ...about,
    state: 'retry',
    // Asking for patience spends no attempt.
    attempts: retryAfterMs === null ? attempt : attempt - 1,
    delayMs,
  };
}
