import { callHandler } from '../../consumers/call.ts';
import { CallContext, type CallTools } from '../../consumers/context.ts';
import type { Consumer } from '../../consumers/define.ts';
import type { Ended, Outcomes } from '../../consumers/outcome.ts';
import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import { LogNotification } from '../../log/notification.ts';
import type { Reporter } from '../../reporter.ts';
import { changeAfter, changeAfterLoss } from './change-after.ts';
import type { DeadLetterHook } from './dead-letter-hook.ts';
import type { FailureReports } from './failure-reports.ts';
import type { Meter } from './meter.ts';
import { reportFailure } from './report-failure.ts';
import type { Task } from './task.ts';
import type { Verdict } from './transaction/loss.ts';

/** What is needed to call a consumer's handlers. */
export type Calling = {
  consumer: Consumer;
  tools: CallTools;
  reporter: Reporter;
  failures: FailureReports;
  deadLetters: DeadLetterHook;
  meter: Meter;
  /** How long the server may take to answer between the calls of a transaction. */
  answerMsMax: number;
  /** Aborts when the daemon no longer waits for handlers. */
  abandon: AbortSignal;
};

/** Calls the handler for tasks. See callHandler(). */
export function callTasks(
  calling: Calling,
  tasks: readonly Task[],
  tools = calling.tools,
): Outcomes | Promise<Outcomes> {
  const { consumer, abandon } = calling;
  const attempt = tasks[0]?.attempt ?? 1;
  const notifications = tasks.map((task) => new LogNotification(task.row, task));
  const context = new CallContext(consumer.id, attempt, tools);
  return callHandler({ consumer, notifications, context, abandon });
}

/**
 * What to record about a notification after a call, if anything; null: nothing. Notes a failure.
 */
export function conclude(calling: Calling, task: Task, outcome: Ended): DeliveryChange | null {
  const change = changeAfter(calling.consumer, task, outcome);
  if (outcome.type === 'done' || !change) return change;
  return noteFailure(calling, task, { change, error: outcome.error });
}

/** Like conclude(), for a notification whose call may have lost the transaction. */
export function concludeLoss(
  calling: Calling,
  task: Task,
  loss: { error: Error; verdict: Verdict },
): DeliveryChange {
  const change = changeAfterLoss(calling.consumer, task, loss);
  const noted = noteFailure(calling, task, { change, error: loss.error });
  // A loss that no call is to blame for is reported by the LossJudge, not as a failure.
  return change.attempts === task.attempt ? noted : change;
}

/** Notes a failure, which is reported once the change is saved. */
function noteFailure(
  calling: Calling,
  task: Task,
  { change, error }: { change: DeliveryChange; error: Error },
): DeliveryChange {
  if (task.chain) task.chain.isBroken = true;
  const delayMs = change.state === 'retry' ? change.delayMs : null;
  return { ...change, report: reportFailure(calling, task, { error, delayMs }) };
}
