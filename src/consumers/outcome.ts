import { PgwatchError, textOf, toError } from '../errors.ts';
import { parseDurationMs } from '../time.ts';

/**
 * Thrown by a handler that knows when to be called again: after this time instead of the backoff's.
 * It spends no attempt, as where a service asks for patience.
 */
export class RetryAfter extends Error {
  readonly delayMs: number;

  /**
   * @param delay milliseconds, or a text like '30s'
   * @throws TypeError for anything else
   */
  constructor(delay: number | string, options: { cause?: unknown } = {}) {
    const delayMs = parseDurationMs(delay);
    if (delayMs === undefined) {
      throw new TypeError(`RetryAfter takes milliseconds or a text like '30s', not ${delay}.`);
    }
    super(`asked to be called again in ${delay}${typeof delay === 'number' ? ' ms' : ''}`, options);
    this.name = 'RetryAfter';
    this.delayMs = delayMs;
  }
}

/**
 * Thrown by a handler that will never succeed: the notification goes to the dead letters at once.
 */
export class DeadLetter extends Error {
  constructor(reason: string, options: { cause?: unknown } = {}) {
    super(reason, options);
    this.name = 'DeadLetter';
  }
}

/**
 * How a call ended for one notification. abandoned: pgwatch has stopped it, and nothing is known of
 * it; it is called again and no attempt is spent. behind: it was not called, because an earlier
 * notification of its key failed.
 */
export type Outcome =
  | { type: 'done' }
  | { type: 'failed'; error: Error; retryAfterMs: number | null }
  | { type: 'dead'; error: Error }
  | { type: 'abandoned' }
  | { type: 'behind' };

/** How a call ended that was made and not interrupted. */
export type Ended = Exclude<Outcome, { type: 'abandoned' | 'behind' }>;

/** One outcome for each notification, in their order. */
export type Outcomes = readonly Outcome[];

export const DONE: Outcome = Object.freeze({ type: 'done' });

/** What a thrown value asks for. */
export function failureOf(thrown: unknown): Outcome {
  const error = toError(thrown);
  // By name: a consumer file may have been loaded with another copy of this package.
  const name = textOf(() => error.name);
  if (name === 'DeadLetter') return { type: 'dead', error };
  return { type: 'failed', error, retryAfterMs: name === 'RetryAfter' ? delayOf(error) : null };
}

function delayOf({ delayMs }: Partial<RetryAfter>): number | null {
  if (!Number.isFinite(delayMs)) return null;
  return Math.min(Math.max(0, delayMs as number), RETRY_AFTER_MS_MAX);
}

/**
 * What a handler returned for so many notifications. Returning is success, except for a list with
 * an error in it, or with a rejected promise's result. That of handleBatch speaks for each
 * notification by its place; handle has failed with any of them, since who returns what
 * Promise.allSettled() gives would else lose it.
 */
export function outcomesOf(returned: unknown, count: number, isBatch: boolean): readonly Outcome[] {
  const failures = Array.isArray(returned) ? returned.map(failureIn) : [];
  const first = failures.find((failure) => failure !== undefined);
  if (first === undefined) return new Array(count).fill(DONE);
  if (!isBatch) return [first];
  if (failures.length !== count) {
    const error = new PgwatchError(
      'handler_failed',
      `handleBatch returned ${failures.length} results for ${count} notifications: return one for each, in order.`,
    );
    return new Array(count).fill(failureOf(error));
  }
  return failures.map((failure) => failure ?? DONE);
}

/**
 * An element of the list: an error, or a result of Promise.allSettled(); not a row that has a
 * column status.
 */
function failureIn(element: unknown): Outcome | undefined {
  if (element instanceof Error) return failureOf(element);
  if (typeof element !== 'object' || element === null) return undefined;
  const { status, reason } = element as { status?: unknown; reason?: unknown };
  const isSettled = Object.keys(element).join() === 'status,reason';
  return isSettled && status === 'rejected' ? failureOf(reason) : undefined;
}

/** A hundred years: far beyond it, PostgreSQL's timestamps end. */
const RETRY_AFTER_MS_MAX = 36_525 * 86_400_000;
