import type { Consumer } from '../../consumers/define.ts';
import { textOf } from '../../errors.ts';
import { withCause } from '../../log/deliveries/error-record.ts';
import { LogNotification, type LogRow } from '../../log/notification.ts';
import { formatDuration } from '../../time.ts';
import { publishTransition } from '../../transitions.ts';
import type { DeadLetterHook } from './dead-letter-hook.ts';
import type { FailureReports } from './failure-reports.ts';
import type { Meter } from './meter.ts';
import type { Task } from './task.ts';

type Reporting = {
  consumer: Consumer;
  failures: FailureReports;
  meter: Meter;
  deadLetters: DeadLetterHook;
};

/**
 * Notes that a handler failed.
 * @param failure.delayMs time until the next attempt; null for a dead letter
 * @returns a function that reports it; call it after the commit, when the commands it names work
 */
export function reportFailure(
  { consumer, failures, meter, deadLetters }: Reporting,
  { id, key, attempt, row }: Pick<Task, 'id' | 'key' | 'attempt'> & { row: LogRow | null },
  { error, delayMs }: { error: Error; delayMs: number | null },
): () => void {
  const where = textOf(() => error.stack)
    .slice(0, STACK_MAX)
    .split('\n')
    .find((line) => consumer.file !== null && line.includes(consumer.file))
    ?.trim();
  const verb = textOf(() => error.name) === 'RetryAfter' ? 'postponed' : 'failed on';
  const what =
    `${consumer.id} ${verb} notification ${id}, attempt ${attempt} of ${consumer.attemptsMax}: ` +
    `${withCause(error, MESSAGE_MAX)}${where ? ` (${where})` : ''}.`;
  const others =
    consumer.order === 'key' && key !== null ? `; later notifications of ${key} wait for it` : '';
  const then =
    delayMs === null
      ? `It is now a dead letter: pgwatch dlq show ${id}.`
      : `Next attempt in ${formatDuration(delayMs)}${others}.`;
  meter.noteFailure(id, error);
  publishTransition({
    type: 'handler_failed',
    consumerId: consumer.id,
    notificationId: id,
    attempt,
    isDead: delayMs === null,
  });
  return () => {
    failures.say(consumer.id, `${what} ${then}`, { notification: id, attempt });
    if (delayMs !== null) return;
    deadLetters.tell(() => ({
      consumerId: consumer.id,
      notificationId: id,
      key,
      attempts: attempt,
      error,
      notification: row && new LogNotification(row, { isReplay: true, attempt }),
    }));
  };
}

/** How much of a message is reported; the delivery holds more of it. */
const MESSAGE_MAX = 2000;
const STACK_MAX = 100_000;
