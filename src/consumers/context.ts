import type { Reporter } from '../reporter.ts';
import type { Consumer, ConsumerContext, Database } from './define.ts';

/** What a handler is given besides the notifications, for one call. */
export class CallContext implements ConsumerContext {
  readonly consumerId: string;
  readonly attempt: number;
  readonly db: Database;
  readonly reporter: ConsumerContext['reporter'];
  #controller: AbortController | undefined;

  constructor(
    consumerId: string,
    attempt: number,
    shared: Pick<ConsumerContext, 'db' | 'reporter'>,
  ) {
    this.consumerId = consumerId;
    this.attempt = attempt;
    this.db = shared.db;
    this.reporter = shared.reporter;
  }

  /** Made when it is first asked for: most handlers never do, and there is one call after another. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#controller ??= new AbortController();
    this.#controller.abort(reason);
  }
}

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
