import type { ClientBase, QueryResult, QueryResultRow } from 'pg';
import type { Database } from '../consumers/define.ts';
import { PgwatchError } from '../errors.ts';

/**
 * What a handler is given to write with: the transaction that moves the position, for as long as the
 * call lasts. It cannot end the transaction.
 */
export class TransactionDatabase implements Database {
  readonly #client: ClientBase;
  #hasEnded = false;

  constructor(client: ClientBase) {
    this.#client = client;
  }

  async query<Row extends QueryResultRow>(
    text: string,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    if (this.#hasEnded) {
      throw new PgwatchError(
        'handler_failed',
        'This context.db belongs to a call that has ended, and its transaction with it: use the one of this call, and await its queries.',
      );
    }
    if (typeof text === 'string' && CONTROL.test(text)) {
      throw new PgwatchError(
        'handler_failed',
        `The handler cannot say "${text.trim().slice(0, 20)}": the transaction of context.db commits once the handler has returned, together with the position.`,
      );
    }
    return this.#client.query<Row>(text, values);
  }

  /** What the handler starts from now on fails. */
  end(): void {
    this.#hasEnded = true;
  }
}

/** Statements that would end the transaction. What gets past this is caught by the transaction's id. */
const CONTROL =
  /^\s*(begin|start\s+transaction|commit|end|rollback(?!\s+(work\s+|transaction\s+)?to\b)|abort|prepare\s+transaction)\b/i;
