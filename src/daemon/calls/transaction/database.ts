import type { ClientBase, QueryConfig } from 'pg';
import type { Database } from '../../../consumers/define.ts';
import {
  answering,
  type QueryArguments,
  readQueryArguments,
} from '../../../consumers/query-arguments.ts';
import { mayPrepare } from '../../../database/clean-session.ts';
import { bareWords } from '../../../database/statements.ts';
import { PgwatchError, toError } from '../../../errors.ts';

/**
 * What a handler is given to write with: the transaction that moves the position, for as long as
 * the call lasts. It cannot end the transaction.
 */
export class TransactionDatabase implements Database {
  readonly #client: ClientBase;
  #hasEnded = false;
  #isUsed = false;
  #mayHavePrepared = false;
  #failure: Error | undefined;

  constructor(client: ClientBase) {
    this.#client = client;
  }

  /** The last statement's error, which the handler may have kept to itself. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Whether the call has sent anything, and its session is to be cleaned. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Whether it may have prepared statements in SQL, or deallocated some. */
  get mayHavePrepared(): boolean {
    return this.#mayHavePrepared;
  }

  /** Bound, because handlers take it out of the context. */
  readonly query = ((...given: unknown[]) =>
    answering(
      () => this.#read(given),
      (query) => this.#run(query),
    )) as Database['query'];

  /** What the handler starts from now on fails. */
  end(): void {
    this.#hasEnded = true;
  }

  #read(given: readonly unknown[]): QueryArguments {
    if (this.#hasEnded) {
      throw new PgwatchError(
        'handler_failed',
        'This context.db belongs to a call that has ended, and its transaction with it: use the one of this call, and await its queries.',
      );
    }
    const query = readQueryArguments(given);
    const text = bareWords(query.text);
    if (CONTROL.test(text)) {
      throw new PgwatchError(
        'handler_failed',
        `The handler cannot say "${text.trim().slice(0, 20)}": the transaction of context.db commits once the handler has returned, together with the position.`,
      );
    }
    return query;
  }

  async #run({ config, text }: QueryArguments): Promise<unknown> {
    this.#isUsed = true;
    this.#mayHavePrepared ||= mayPrepare(text);
    try {
      // This way the server takes one statement at a time, so that nothing hides behind another.
      const single = { ...config, queryMode: 'extended' };
      return await this.#client.query(single as QueryConfig);
    } catch (thrown) {
      this.#failure = toError(thrown);
      throw thrown;
    }
  }
}

/**
 * Statements that would end the transaction. What gets past this is caught by the transaction's id.
 */
const CONTROL =
  /^(begin|start\s+transaction|commit|end|rollback(?!\s+(work\s+|transaction\s+)?to\b)|abort|prepare\s+transaction|set\s+(local\s+|session\s+)?transaction)\b/i;
