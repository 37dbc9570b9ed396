import { PgwatchError, textOf, toError } from '../errors.ts';
import { parseDurationMs } from '../time.ts';

/**
 * Thrown by a handler that knows when to be called again: this delay replaces the backoff. It does
 * not count as an attempt, so it suits services that limit rates.
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
 * Thrown by a handler that can never succeed: the notification becomes a dead letter immediately.
 */
export class DeadLetter extends Error {
  constructor(reason: string, options: { cause?: unknown } = {}) {
    super(reason, options);
    this.name = 'DeadLetter';
  }
}

/**
 * How a call ended for one notification. abandoned: pgwatch stopped it, and its outcome is unknown;
 * it is delivered again, and the attempt does not count. behind: the handler was not called,
 * because an earlier notification with the same key failed.
 */
export type Outcome =
  | { type: 'done' }
  | { type: 'failed'; error: Error; retryAfterMs: number | null }
  | { type: 'dead'; error: Error }
  | { type: 'abandoned' }
  | { type: 'behind' };

/** The outcome of a call that was made and not interrupted. */
export type Ended = Exclude<Outcome, { type: 'abandoned' | 'behind' }>;

/** One outcome for each notification, in order. */
export type Outcomes = readonly Outcome[];

export const DONE: Outcome = Object.freeze({ type: 'done' });

/** The outcome that a thrown value stands for. */
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
 * The outcomes that a handler's return value means. Returning is success, except for a list that
 * contains an error or the settled result of a rejected promise. In a list from handleBatch, each
 * element is for the notification at its index. handle fails if its list contains any failure:
 * otherwise handlers that return the results of Promise.allSettled() would lose failures.
 */
export function outcomesOf(returned: unknown, count: number, isBatch: boolean): readonly Outcome[] {
  const failures = Array.isArray(returned) ? returned.map(failureIn) : [];
  const first = failures.find((failure) => failure !== undefined);
  if (first === undefined) return new Array(count).fill(DONE);
  if (!isBatch) return [first];
  if (failures.length !== count) {
    const error = new PgwatchError(
      'handler_failed',
      `handleBatch returned ${failures.length} results for ${count} notifications:` +
        ' return one for each, in order.',
    );
    return new Array(count).fill(failureOf(error));
  }
  return failures.map((failure) => failure ?? DONE);
}

/**
 * The failure in an element of the list: an error, or a rejected result of Promise.allSettled(). A
 * row that has a column "status" is not one.
 */
function failureIn(element: unknown): Outcome | undefined {
  if (element instanceof Error) return failureOf(element);
  if (typeof element !== 'object' || element === null) return undefined;
  const { status, reason } = element as { status?: unknown; reason?: unknown };
  const isSettled = Object.keys(element).join() === 'status,reason';
  return isSettled && status === 'rejected' ? failureOf(reason) : undefined;
}

/** A hundred years: PostgreSQL's timestamps have an end, too, far beyond that. */
const RETRY_AFTER_MS_MAX = 36_525 * 86_400_000;
