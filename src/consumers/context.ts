import { vouchFor } from '../database/query-rows.ts';
import { PgwatchError } from '../errors.ts';
import type { Notification } from '../log/notification.ts';
import type { Reporter } from '../reporter.ts';
import type { Consumer, ConsumerContext, Database } from './define.ts';

/** What the calls of a consumer work with. */
export type CallTools = {
  reporter: ConsumerContext['reporter'];
  /** Makes a call's db. What that is still doing when the call is given up is to be cut off. */
  makeDb(call: { readonly givenUp: AbortSignal; noteCut(): void }): Database;
};

/** What a handler is given besides the notifications, for one call. */
export class CallContext implements ConsumerContext {
  readonly consumerId: string;
  readonly attempt: number;
  readonly reporter: ConsumerContext['reporter'];
  readonly #tools: CallTools;
  // All made when they are first asked for: most handlers never do, and there is one call after
  // another.
  #db: Database | undefined;
  #timeIsOver: AbortController | undefined;
  #hasAskedForSignal = false;
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
    this.#db ??= vouchFor(this.#tools.makeDb(this));
    return this.#db;
  }

  get signal(): AbortSignal {
    this.#hasAskedForSignal = true;
    this.#timeIsOver ??= new AbortController();
    return this.#timeIsOver.signal;
  }

  /** Why its time is over; undefined while it is not. */
  get overReason(): Error | undefined {
    return this.#timeIsOver?.signal.reason;
  }

  /**
   * True if pgwatch stopped the call before its time: if it fails now, that is not the handler's
   * fault.
   */
  get isInterrupted(): boolean {
    return this.#isCut || (this.#isAbandoned && this.#hasAskedForSignal);
  }

  /** Aborts when nobody waits for the call any longer. */
  get givenUp(): AbortSignal {
    this.#givenUp ??= new AbortController();
    return this.#givenUp.signal;
  }

  /** Its time is over: it may still end by itself. */
  abort(reason: Error): void {
    this.#timeIsOver ??= new AbortController();
    this.#timeIsOver.abort(reason);
  }

  /**
   * The daemon waits no longer. A handler that never looked at its signal does not fail because of
   * that.
   */
  abandon(reason: Error): void {
    if (this.overReason) return;
    this.#isAbandoned = true;
    this.abort(reason);
  }

  /** pgwatch has cut a connection of its db. */
  noteCut(): void {
    this.#isCut = true;
  }

  giveUp(): void {
    this.#givenUp ??= new AbortController();
    this.#givenUp.abort(
      new PgwatchError('handler_failed', 'The call was given up, and its context.db with it.'),
    );
  }
}

/** A call of a handler. */
export type Call = {
  consumer: Consumer;
  notifications: readonly Notification[];
  context: CallContext;
  /** Aborts when the daemon will not wait for handlers any longer. */
  abandon: AbortSignal;
};

/** Prints what a consumer's handler has to say, with its id. */
export function consumerReporter(
  { id }: Consumer,
  reporter: Reporter,
): ConsumerContext['reporter'] {
  const fields = { consumer: id };
  return {
    info: (message, more = {}) => reporter.info(`${id}: ${message}`, { ...fields, ...more }),
    warn: (message, more = {}) => reporter.warn(`${id}: ${message}`, { ...fields, ...more }),
  };
}
