import pg from 'pg';
import type { Database } from '../../consumers/define.ts';
import { PgwatchError } from '../../errors.ts';

/** What pg's clients tell of themselves: in a transaction, or in none. */
type TransactionStatus = 'T' | 'I';

/**
 * The context.db of a call, in the form in which libraries take it: a pool of pg. It has no
 * connections of its own. Every statement goes through query(), also those of the clients that it
 * lends, and neither the program nor a library can end it.
 */
export abstract class CallPool extends pg.Pool {
  readonly #status: TransactionStatus;
  #lent: LentClient | undefined;

  constructor(status: TransactionStatus) {
    super({ Client: NoConnection });
    this.#status = status;
  }

  abstract override readonly query: Database['query'];

  getTransactionStatus(): TransactionStatus {
    return this.#status;
  }

  /** Whether a connection is this pool, or a client that it has lent. */
  isSame(connection: unknown): boolean {
    return connection === this || connection === (this.#lent ?? this);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Parameters<pg.Pool['connect']>[0]): void;
  override connect(
    callback?: Parameters<pg.Pool['connect']>[0],
  ): Promise<pg.PoolClient> | undefined {
    this.#lent ??= new LentClient(this.query, this.#status);
    if (!callback) return Promise.resolve(this.#lent);
    process.nextTick(callback, undefined, this.#lent, () => {});
    return undefined;
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback: () => void = () => {}): Promise<void> {
    process.nextTick(callback);
    return Promise.resolve();
  }
}

/**
 * A library that does not recognize the pool, because it has another copy of pg, takes it for the
 * options of one, whose connections would lead anywhere.
 */
class NoConnection extends pg.Client {
  constructor() {
    super();
    throw new PgwatchError(
      'handler_failed',
      'A library tried to open a connection of its own with context.db, which has none: it may ' +
        'have another copy of pg. Run its statements with context.db.query().',
    );
  }
}

class LentClient extends pg.Client {
  override readonly query: Database['query'];
  readonly #status: TransactionStatus;

  constructor(query: Database['query'], status: TransactionStatus) {
    super();
    this.query = query;
    this.#status = status;
  }

  override getTransactionStatus(): TransactionStatus {
    return this.#status;
  }

  release(): void {}
}
