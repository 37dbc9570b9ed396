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
import { CallPool } from '../call-pool.ts';

/**
 * The context.db of a handler with transaction: true: the transaction that moves the position, for
 * the duration of the call. The handler cannot end the transaction.
 */
export class TransactionDatabase extends CallPool {
  readonly #client: ClientBase;
  #hasEnded = false;
  #isUsed = false;
  #mayHavePrepared = false;
  #failure: Error | undefined;

  constructor(client: ClientBase) {
    super('T');
    this.#client = client;
  }

  /** The last error of a statement, which the handler may have swallowed. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Whether the call has sent anything, so that its session must be cleaned. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Whether it may have prepared statements in SQL, or deallocated some. */
  get mayHavePrepared(): boolean {
    return this.#mayHavePrepared;
  }

  /** Bound, because handlers destructure it from the context. */
  override readonly query = ((...given: unknown[]) =>
    answering(
      () => this.#read(given),
      (query) => this.#run(query),
    )) as Database['query'];

  /** Queries that the handler starts from now on fail. */
  close(): void {
    this.#hasEnded = true;
  }

  #read(given: readonly unknown[]): QueryArguments {
    if (this.#hasEnded) {
      throw new PgwatchError(
        'handler_failed',
        'This context.db belongs to a call that has ended, as has its transaction. ' +
          "Use the current call's context.db, and await its queries.",
      );
    }
    const query = readQueryArguments(given);
    const text = bareWords(query.text);
    if (CONTROL.test(text)) {
      throw new PgwatchError(
        'handler_failed',
        `The handler cannot run "${text.trim().slice(0, 20)}": pgwatch commits the transaction ` +
          'of context.db, with the position, after the handler returns.',
      );
    }
    return query;
  }

  async #run({ config, text }: QueryArguments): Promise<unknown> {
    this.#isUsed = true;
    this.#mayHavePrepared ||= mayPrepare(text);
    try {
      // In this mode the server accepts only one statement, so none can hide after another.
      const single = { ...config, queryMode: 'extended' };
      return await this.#client.query(single as QueryConfig);
    } catch (thrown) {
      this.#failure = toError(thrown);
      throw thrown;
    }
  }
}

/**
 * Statements that would end the transaction. Any that get past this check are caught by the
 * transaction's id.
 */
const CONTROL = new RegExp(
  String.raw`^(begin|start\s+transaction|commit|end|` +
    String.raw`rollback(?!\s+(work\s+|transaction\s+)?to\b)|abort|prepare\s+transaction|` +
    String.raw`set\s+(local\s+|session\s+)?transaction)\b`,
  'i',
);
