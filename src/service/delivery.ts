import type { Duration } from '../config/define.ts';
import type { CallLimits, ConsumerContext, Database } from '../consumers/define.ts';
import { DeadLetter, RetryAfter } from '../consumers/outcome.ts';
import { errorCodeOf, PgwatchError, textOf, toError } from '../errors.ts';
import type { Change } from '../log/change.ts';
import type { Notification } from '../log/notification.ts';
import { anyDuration, checkedOptions, checkedValue, flag } from './checked-options.ts';

export type NackOptions = {
  /** When to deliver it again, like '30s', instead of the backoff. Does not count as an attempt. */
  retryAfter?: Duration;
  /** True: it can never succeed, and becomes a dead letter. */
  dead?: boolean;
};

/** What a delivery needs of the call that it is. */
export type DeliveryContext = ConsumerContext & CallLimits;

/** A notification that a subscription has handed out. It is open until it is settled. */
export class Delivery<Payload = unknown> {
  readonly notification: Notification<Payload>;
  readonly #context: DeliveryContext;
  readonly #timeoutMs: number;
  readonly #onEnd: () => void;
  readonly #settled = Promise.withResolvers<void>();
  #isSettled = false;

  /**
   * @param timeoutMs what extend() adds by default
   * @param onEnd called once it is settled, or lost
   */
  constructor(
    notification: Notification<Payload>,
    context: DeliveryContext,
    { timeoutMs, onEnd }: { timeoutMs: number; onEnd(): void },
  ) {
    this.notification = notification;
    this.#context = context;
    this.#timeoutMs = timeoutMs;
    this.#onEnd = onEnd;
  }

  get id(): number {
    return this.notification.id;
  }

  get channel(): string {
    return this.notification.channel;
  }

  get key(): string | null {
    return this.notification.key;
  }

  get payload(): Payload {
    return this.notification.payload;
  }

  /** The captured row change; null for an explicit notification. */
  get change(): Change | null {
    return this.notification.change;
  }

  get createdAt(): Date {
    return this.notification.createdAt;
  }

  /** The same at every delivery and, unlike the id, unique forever: use it to deduplicate. */
  get eventId(): string {
    return this.notification.eventId;
  }

  get isReplay(): boolean {
    return this.notification.isReplay;
  }

  /** The number of this attempt, from 1. */
  get attempt(): number {
    return this.notification.attempt;
  }

  /** Runs SQL; with transaction: true in the transaction that moves the position. */
  get db(): Database {
    return this.#context.db;
  }

  /**
   * Aborts when the time is over, or the subscription has ended: then it can no longer be settled,
   * and db is closed.
   */
  get signal(): AbortSignal {
    return this.#context.signal;
  }

  /** False once it is settled, or can no longer be: see ack(). */
  get isOpen(): boolean {
    return !this.#isSettled && !reasonLost(this.#context);
  }

  /** Resolves once it is settled. Rejects with the failure. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /**
   * Its work is done. That is recorded soon after; if the process dies before, it is delivered
   * again.
   * @throws PgwatchError delivery_settled; delivery_lost if it no longer belongs to this
   *   subscription, and will be delivered again
   */
  ack(): Promise<void> {
    try {
      this.#settle('ack');
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    this.#settled.resolve();
    return this.#settled.promise;
  }

  /**
   * Its work has failed: it is delivered again after the backoff, or becomes a dead letter once all
   * attempts are spent.
   * @param error why; default: no reason is recorded
   * @throws PgwatchError as ack(); input_invalid
   */
  async nack(error?: unknown, options: NackOptions = {}): Promise<void> {
    const failure = failureOf(error, checkedOptions('nack()', options, NACK));
    this.#settle('nack');
    this.#settled.reject(failure);
  }

  /**
   * Gives it more time.
   * @param duration from now on; default: the timeout of the subscription
   * @throws PgwatchError as ack(); input_invalid
   */
  extend(duration: Duration = this.#timeoutMs): void {
    const durationMs = checkedValue('extend() takes', anyDuration, duration);
    this.#requireOpen('extend');
    this.#context.extend(durationMs);
  }

  /** Ends it because the time of its call is over. */
  lose(reason: Error): void {
    if (this.#isSettled) return;
    this.#settled.reject(reason);
    this.#onEnd();
  }

  #settle(how: string): void {
    this.#requireOpen(how);
    this.#isSettled = true;
    this.#onEnd();
  }

  #requireOpen(how: string): void {
    const { id } = this;
    if (this.#isSettled) {
      throw new PgwatchError(
        'delivery_settled',
        `${how}() came too late: notification ${id} has already been settled by ack() or nack().`,
      );
    }
    const lost = reasonLost(this.#context);
    if (!lost) return;
    const reason = textOf(() => lost.message);
    throw new PgwatchError(
      'delivery_lost',
      `${how}() came too late for notification ${id}: ${reason}. ` +
        'It is delivered again, unless a seek has skipped it.',
    );
  }
}

/**
 * Why the deliveries of a call can no longer be settled; undefined if they can. Ends a call whose
 * consumer belongs to another process: until then, the consumer cannot run here again.
 */
export function reasonLost(context: DeliveryContext): Error | undefined {
  if (context.isFenced) {
    context.abandon(new Error(LOST));
  }
  return context.overReason;
}

function failureOf(
  error: unknown,
  { retryAfter, dead = false }: { retryAfter?: number; dead?: boolean },
): Error {
  const given = error === undefined ? new Error('nack() was given no reason') : toError(error);
  if (dead) return deadLetterOf(given);
  return retryAfter === undefined ? given : new RetryAfter(retryAfter, { cause: given });
}

/** Tells the same as the error, and where it comes from. */
function deadLetterOf(error: Error): DeadLetter {
  const [message, stack] = [textOf(() => error.message), textOf(() => error.stack)];
  const letter = new DeadLetter(message, { cause: error.cause });
  if (stack !== '') letter.stack = stack;
  return Object.assign(letter, { code: errorCodeOf(error) });
}

const NACK = { retryAfter: anyDuration, dead: flag };
/** To whom is not known: only that its epoch has been raised. */
const LOST = 'this process has lost the consumer, for example to another process or by a seek';
