import { PgwatchError } from '../errors.ts';
import type { LogNotification } from '../log/notification.ts';
import type { Reporter } from '../reporter.ts';
import type { CallLimits, Consumer, ConsumerContext, Database } from './define.ts';

/** What the calls of a consumer share. */
export type CallTools = {
  reporter: ConsumerContext['reporter'];
  /** Makes the db of a call. It has to cut off queries still running when the call is given up. */
  makeDb(call: { readonly givenUp: AbortSignal; noteCut(): void }): Database;
  /** True once the consumer, or the lease, belongs to another process. */
  isFenced(): boolean;
};

/** The second argument of a handler, for one call. */
export class CallContext implements ConsumerContext, CallLimits {
  readonly consumerId: string;
  readonly attempt: number;
  readonly reporter: ConsumerContext['reporter'];
  readonly #tools: CallTools;
  /** When the call's time is over, as performance.now(); null: not known yet. */
  #overAt: number | null = null;
  // All created on first use: calls are frequent, and most handlers use none of these.
  #db: Database | undefined;
  #timeIsOver: AbortController | undefined;
  #hasAskedForSignal = false;
  #onOver: ((reason: Error) => void)[] | undefined;
  #isAbandoned = false;
  #isCut = false;
  #givenUp: AbortController | undefined;

  constructor(consumerId: string, attempt: number, tools: CallTools) {
    this.consumerId = consumerId;
    this.attempt = attempt;
    this.reporter = tools.reporter;
    this.#tools = tools;
  }

  get db(): Database {
    this.#db ??= this.#tools.makeDb(this);
    return this.#db;
  }

  get signal(): AbortSignal {
    this.#hasAskedForSignal = true;
    this.#timeIsOver ??= new AbortController();
    return this.#timeIsOver.signal;
  }

  get isFenced(): boolean {
    return this.#tools.isFenced();
  }

  onOver(callback: (reason: Error) => void): void {
    this.#hasAskedForSignal = true;
    if (this.overReason) callback(this.overReason);
    else this.#onOver = [...(this.#onOver ?? []), callback];
  }

  unlimit(): void {
    this.#overAt = Number.POSITIVE_INFINITY;
  }

  limit(durationMs: number): void {
    this.#overAt = performance.now() + durationMs;
  }

  extend(durationMs: number): void {
    this.#overAt = Math.max(this.#overAt ?? 0, performance.now() + durationMs);
  }

  /** How much time the call has left; at first as long as given. */
  leftMs(timeoutMs: number): number {
    if (this.#overAt === null) this.limit(timeoutMs);
    return (this.#overAt ?? 0) - performance.now();
  }

  get overReason(): Error | undefined {
    return this.#timeIsOver?.signal.reason;
  }

  /** True if pgwatch stopped the call early. If it fails now, that is not the handler's fault. */
  get isInterrupted(): boolean {
    return this.#isCut || (this.#isAbandoned && this.#hasAskedForSignal);
  }

  /** Aborts when pgwatch no longer waits for the call. */
  get givenUp(): AbortSignal {
    this.#givenUp ??= new AbortController();
    return this.#givenUp.signal;
  }

  /** Tells the handler that its time is over. It may still end by itself. */
  abort(reason: Error): void {
    this.#timeIsOver ??= new AbortController();
    this.#timeIsOver.abort(reason);
    for (const callback of this.#onOver ?? []) callback(reason);
  }

  /**
   * Tells the handler that the daemon no longer waits. A later failure counts only if the handler
   * never used its signal: then the abort cannot be the cause.
   */
  abandon(reason: Error): void {
    if (this.overReason) return;
    this.#isAbandoned = true;
    this.abort(reason);
  }

  /** Records that pgwatch has cut a connection of the call's db. */
  noteCut(): void {
    this.#isCut = true;
  }

  giveUp(): void {
    this.#givenUp ??= new AbortController();
    this.#givenUp.abort(
      new PgwatchError(
        'handler_failed',
        'pgwatch no longer waits for this call, so its context.db is closed.',
      ),
    );
  }
}

/** A call of a handler. */
export type Call = {
  consumer: Consumer;
  notifications: readonly LogNotification[];
  context: CallContext;
  /** Aborts when the daemon no longer waits for handlers. */
  abandon: AbortSignal;
};

/** Prints the messages of a consumer's handler, with the consumer's id. */
export function consumerReporter(
  { id }: Pick<Consumer, 'id'>,
  reporter: Reporter,
): ConsumerContext['reporter'] {
  const fields = { consumer: id };
  return {
    info: (message, more = {}) => reporter.info(`${id}: ${message}`, { ...fields, ...more }),
    warn: (message, more = {}) => reporter.warn(`${id}: ${message}`, { ...fields, ...more }),
  };
}
