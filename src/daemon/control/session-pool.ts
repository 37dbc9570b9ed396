import type { PoolClient } from 'pg';
import { isLost } from '../../database/connect.ts';
import { isPassing, lossOf } from '../../database/passing.ts';
import type { Clients } from '../../database/pool.ts';
import { toError } from '../../errors.ts';
import type { Reporter } from '../../reporter.ts';
import { backoffMs, formatDuration, sleep } from '../../time.ts';
import { heldText } from './held-text.ts';

export type SessionPoolOptions = {
  pool: Clients;
  schema: string;
  reporter: Reporter;
  /** Aborts with the session: after that nothing is tried again. */
  ended: AbortSignal;
  /** Aborts when the daemon stops, or has no patience left: after that it does not wait long. */
  stop: AbortSignal;
  /** once: gives up if something fails for long. */
  mode: 'tail' | 'once';
};

/**
 * The daemon's pool as the parts of a session use it. A statement that was killed or found no
 * connection is run again while the session lives, which means its control connection: one failing
 * statement holds up nothing but itself.
 */
export class SessionPool implements Clients {
  readonly #options: SessionPoolOptions;

  constructor(options: SessionPoolOptions) {
    this.#options = options;
  }

  /** True if the daemon no longer waits for the database to come back. */
  get isGivenUp(): boolean {
    return this.#options.stop.aborted || this.#options.pool.isGivenUp;
  }

  /**
   * Runs the work with a borrowed client, and again if it fails and may succeed. The work must be
   * safe to run twice: if the connection is lost during its commit, the outcome is unknown.
   * @param isAnswer true for a failure that is thrown instead of retried
   */
  async withClient<T>(
    work: (client: PoolClient) => Promise<T>,
    isAnswer: (thrown: unknown) => boolean = () => false,
  ): Promise<T> {
    const { pool } = this.#options;
    return this.again(async () => {
      let borrowed: PoolClient | undefined;
      const working = pool.withClient((client) => {
        borrowed = client;
        return work(client);
      });
      return working.catch((thrown: unknown) => {
        throw borrowed && isLost(borrowed) ? lossOf(borrowed, thrown) : thrown;
      });
    }, isAnswer);
  }

  /** Runs work of several statements, and again if it fails and may succeed. */
  async again<T>(
    work: () => Promise<T>,
    isAnswer: (thrown: unknown) => boolean = () => false,
  ): Promise<T> {
    const startedAt = performance.now();
    for (let failures = 1; ; failures++) {
      try {
        return await work();
      } catch (thrown) {
        if (!isPassing(thrown) || isAnswer(thrown)) throw thrown;
        await this.pause(toError(thrown), { failures, startedAt });
      }
    }
  }

  /**
   * Waits before failed work is tried again.
   * @param trial.failures the number of failures in a row
   * @throws the failure if it must not be tried again
   */
  async pause(
    failure: Error,
    { failures, startedAt }: { failures: number; startedAt: number },
  ): Promise<void> {
    const { pool, schema, reporter, ended, mode } = this.#options;
    const failingMs = performance.now() - startedAt;
    const isOver = this.isGivenUp ? failures > STOPPING_FAILURES_MAX : false;
    if (isOver || (mode === 'once' && failingMs > ONCE_MS_MAX) || ended.aborted) throw failure;
    const held = await heldText(pool, schema, failure);
    const text =
      `A statement has been failing for ${formatDuration(failingMs)} and is tried again: ` +
      `${failure.message.replace(/\.$/, '')}.${held}`;
    // A statement that waits for a lock has waited long before it fails.
    if (held !== '' || failures % WARN_FAILURES === 0) reporter.warn(text);
    else reporter.debug(text);
    await sleep(backoffMs(failures, { baseMs: 20, capMs: AGAIN_MS_MAX }), ended);
    if (ended.aborted) throw failure;
  }

  lossesWithin(ms: number): number {
    return this.#options.pool.lossesWithin(ms);
  }

  async keep(): Promise<PoolClient | undefined> {
    return this.#options.pool.keep();
  }

  unkeep(client: PoolClient, state: 'sound' | 'broken'): void {
    this.#options.pool.unkeep(client, state);
  }

  async guard<T>(client: PoolClient, work: Promise<T>): Promise<T> {
    return this.#options.pool.guard(client, work);
  }
}

const AGAIN_MS_MAX = 2000;
const STOPPING_FAILURES_MAX = 5;
const ONCE_MS_MAX = 30_000;
/** Warns after some seconds, and then twice a minute. */
const WARN_FAILURES = 10;
