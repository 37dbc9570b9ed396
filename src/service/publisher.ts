import type pg from 'pg';
import type { Config } from '../config/define.ts';
import { requireTransaction } from '../database/open-transaction.ts';
import type { Pool } from '../database/pool.ts';
import type { PublishClient } from '../database/query-rows.ts';
import type { Reporter } from '../reporter.ts';

/** Where a program publishes: in a transaction of its own, or through a pool. */
export class Publisher {
  readonly #own: pg.Pool | null;
  readonly #reporter: Reporter;
  readonly #complete: () => Promise<Config>;
  #pool: Promise<Pool> | undefined;

  /**
   * @param own the program's pool; null: one is opened when it is needed
   * @param complete completes the config
   */
  constructor(own: pg.Pool | null, reporter: Reporter, complete: () => Promise<Config>) {
    this.#own = own;
    this.#reporter = reporter;
    this.#complete = complete;
  }

  /**
   * Does the work in the client's transaction, or through the pool.
   * @throws PgwatchError transaction_missing; connection_failed
   */
  async publish<T>(
    client: PublishClient | undefined,
    work: (to: PublishClient) => Promise<T>,
  ): Promise<T> {
    if (client) {
      await requireTransaction(client);
      return work(client);
    }
    if (this.#own) return work(this.#own);
    this.#pool ??= this.#open();
    return (await this.#pool).withClient(work);
  }

  /** The program's own pool stays. */
  async close(): Promise<void> {
    await (await this.#pool)?.close();
  }

  async #open(): Promise<Pool> {
    const config = await this.#complete();
    const onError = (error: Error) =>
      this.#reporter.debug(`A connection for publishing failed: ${error.message}`);
    const { Pool } = await import('../database/pool.ts');
    const { usualTarget } = await import('../database/target.ts');
    // With the settings of the user, because pgwatch.notify may be one of them.
    return new Pool({ ...usualTarget(config), size: config.poolSize, sessions: 'user', onError });
  }
}
