import type { ClientBase, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import type { Database } from '../consumers/define.ts';
import { PgwatchError, toError } from '../errors.ts';

/**
 * What a handler is given to write with: the transaction that moves the position, for as long as the
 * call lasts. It cannot end the transaction.
 */
export class TransactionDatabase implements Database {
  readonly #client: ClientBase;
  #hasEnded = false;
  #failure: Error | undefined;

  constructor(client: ClientBase) {
    this.#client = client;
  }

  /** The last statement's error, which the handler may have kept to itself. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  async query<Row extends QueryResultRow>(
    query: string | QueryConfig,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    if (this.#hasEnded) {
      throw new PgwatchError(
        'handler_failed',
        'This context.db belongs to a call that has ended, and its transaction with it: use the one of this call, and await its queries.',
      );
    }
    const config = typeof query === 'string' ? { text: query, ...(values && { values }) } : query;
    const text = String(config.text).replace(COMMENTS, '');
    if (CONTROL.test(text)) {
      throw new PgwatchError(
        'handler_failed',
        `The handler cannot say "${text.trim().slice(0, 20)}": the transaction of context.db commits once the handler has returned, together with the position.`,
      );
    }
    try {
      // This way the server takes one statement at a time, so that nothing hides behind another.
      return await this.#client.query<Row>({ ...config, queryMode: 'extended' } as QueryConfig);
    } catch (thrown) {
      this.#failure = toError(thrown);
      throw thrown;
    }
  }

  /** What the handler starts from now on fails. */
  end(): void {
    this.#hasEnded = true;
  }
}

/** What may stand before a statement; of comments within comments the outer ones. */
const COMMENTS =
  /^(\s|;|--.*(\n|$)|\/\*(?:[^*/]|\*(?!\/)|\/(?!\*)|\/\*(?:[^*]|\*(?!\/))*\*\/)*\*\/)+/;
/** Statements that would end the transaction. What gets past this is caught by the transaction's id. */
const CONTROL =
  /^\s*(begin|start\s+transaction|commit|end|rollback(?!\s+(work\s+|transaction\s+)?to\b)|abort|prepare\s+transaction)\b/i;
