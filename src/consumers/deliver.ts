import { errorCodeOf, toError } from '../errors.ts';
import type { Notification } from '../log/notification.ts';
import type { Reporter } from '../reporter.ts';
import { type Backoff, backoffMs, formatDuration, sleep } from '../time.ts';
import { publishTransition } from '../transitions.ts';
import type { Consumer, ConsumerContext } from './define.ts';

export type Delivery = {
  consumer: Consumer;
  context: ConsumerContext;
  reporter: Reporter;
  /** Aborts when no further attempt is to be made. A running handler is let finish. */
  stop: AbortSignal;
  /** How often the handler is called before it is given up, for now; its notifications stay. */
  attemptsMax: number;
};

/**
 * Hands notifications to the consumer's handler until it returns. A handler that throws is called
 * again after a while; until then nothing else of this consumer is handled, and nothing is lost.
 * @returns 'done' once the handler has returned; 'stopped' where it was not going to; 'given_up'
 *   after attemptsMax attempts
 */
export async function deliverBatch(
  delivery: Delivery,
  notifications: readonly Notification[],
): Promise<'done' | 'stopped' | 'given_up'> {
  const { consumer, context, stop, attemptsMax } = delivery;
  for (let attempt = 1; !stop.aborted || attempt === 1; attempt++) {
    const batch = notifications.map((n) => (attempt === 1 ? n : n.forAttempt(attempt)));
    try {
      const result = consumer.handleBatch(batch, context);
      if (isPromise(result)) await untilAbandoned(result, context.signal);
      return 'done';
    } catch (thrown) {
      if (thrown === ABANDONED) return 'stopped';
      if (attempt === attemptsMax) return 'given_up';
      const waitMs = backoffMs(attempt, RETRY);
      reportFailure(delivery, batch, { error: toError(thrown), attempt, waitMs });
      await sleep(waitMs, stop);
    }
  }
  return 'stopped';
}

/** Resolves with the handler; rejects when it is not waited for any longer. */
async function untilAbandoned(running: PromiseLike<unknown>, signal: AbortSignal): Promise<void> {
  let onAbort = () => {};
  const abandoned = new Promise<never>((_, reject) => {
    // The handler gets a moment to react to the same signal.
    onAbort = () => setTimeout(() => reject(ABANDONED), ABANDON_MS);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([running, abandoned]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function reportFailure(
  { consumer, reporter }: Delivery,
  batch: readonly Notification[],
  { error, attempt, waitMs }: { error: Error; attempt: number; waitMs: number },
): void {
  const notificationId = batch[0]?.id ?? 0;
  const which =
    batch.length === 1
      ? `notification ${notificationId}`
      : `${batch.length} notifications from ${notificationId}`;
  // A stack may be anything: programs replace Error.prepareStackTrace.
  const where = String(error.stack)
    .split('\n')
    .find((line) => line.includes(consumer.file))
    ?.trim();
  // fetch() says only "fetch failed"; what happened is in the cause.
  const cause =
    error.cause instanceof Error ? ` (${error.cause.message || errorCodeOf(error.cause)})` : '';
  reporter.warn(
    `${consumer.id} failed on ${which}, attempt ${attempt}: ${error.message}${cause}${where ? ` (${where})` : ''}. Next attempt in ${formatDuration(waitMs)}; the consumer waits for it.`,
    { consumer: consumer.id, notification: notificationId, attempt },
  );
  publishTransition({ type: 'handler_failed', consumerId: consumer.id, notificationId, attempt });
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function';
}

const ABANDONED = Symbol('abandoned');
const ABANDON_MS = 500;
const RETRY: Backoff = { baseMs: 1000, capMs: 900_000 };
