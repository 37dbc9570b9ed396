import type pg from 'pg';
import type { Config } from '../config/define.ts';
import type { Consumer } from '../consumers/define.ts';
import { Daemon } from '../daemon/daemon.ts';
import { PgwatchError, toError } from '../errors.ts';
import type { Reporter } from '../reporter.ts';
import { withAccess } from './access.ts';
import { untilCaughtUp } from './caught-up.ts';

export type ListenOptions = {
  /** Stops when it aborts, like stop(). */
  signal?: AbortSignal;
  /** Skips everything that was missed; it is never delivered. Default false. */
  skipPlayback?: boolean;
  /** Handles everything that is there now, and ends. Default false. */
  once?: boolean;
};

/** Consumers that run in this process, until they are stopped. */
export class Listening implements AsyncDisposable {
  /**
   * Resolves once everything has ended: after stop(), or, with once, when everything is handled.
   * Rejects with a PgwatchError if it cannot go on: the reporter is told, too, and the process does
   * not end for that.
   */
  readonly done: Promise<void>;
  readonly #config: Config;
  readonly #consumerIds: readonly string[];
  readonly #stop = new AbortController();
  readonly #stopping: AbortSignal;
  readonly #ended = new AbortController();
  readonly #ready = Promise.withResolvers<void>();

  constructor(
    given: {
      config: Config;
      consumers: readonly Consumer[];
      /** The ids of the consumers that run beside these. */
      knownIds: readonly string[];
      reporter: Reporter;
      pool: pg.Pool | null;
    },
    { signal, skipPlayback = false, once = false }: ListenOptions,
  ) {
    const { config, consumers, knownIds, reporter, pool } = given;
    this.#config = config;
    this.#consumerIds = consumers.map(({ id }) => id);
    const daemon = new Daemon({
      config,
      consumers,
      knownIds,
      reporter,
      skipPlayback,
      ownPool: pool,
      onReady: () => this.#ready.resolve(),
    });
    this.#stopping = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    const run = once ? daemon.runOnce(this.#stopping) : daemon.run(this.#stopping);
    this.done = run.finally(() => this.#ended.abort());
    this.done.then(
      () => this.#ready.reject(new PgwatchError('closed', STOPPED)),
      (thrown: unknown) => this.#ready.reject(thrown),
    );
    // Not everybody asks.
    this.#ready.promise.catch(() => {});
    this.done.catch((thrown: unknown) => {
      reporter.error(`${this.#consumerIds.join(', ')} ended: ${toError(thrown).message}`);
    });
  }

  /**
   * Takes no more notifications, and waits for the handlers that run: up to shutdownTimeout, then
   * their signals abort.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done.catch(() => {});
  }

  /**
   * Resolves once each consumer has its position in the database: it receives what is committed
   * after that, with from: 'now', too. Waits for the server if it cannot be reached.
   * @throws PgwatchError why it cannot begin; closed if it ends before that
   */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /**
   * Waits until everything that was written before the call has been handled, here or by another
   * process that runs the consumer. What failed and waits for a retry does not count.
   * @param consumerId default: all consumers
   * @throws PgwatchError consumer_unknown; closed if it ends before that
   */
  async caughtUp(consumerId?: string): Promise<void> {
    const ids = consumerId === undefined ? this.#consumerIds : [consumerId];
    const unknown = ids.find((id) => !this.#consumerIds.includes(id));
    if (unknown !== undefined) {
      const running = this.#consumerIds.join(', ');
      throw new PgwatchError('consumer_unknown', `"${unknown}" does not run here: ${running} do.`);
    }
    const { signal } = this.#ended;
    await withAccess(this.#config, { mode: 'read' }, (client) =>
      untilCaughtUp(client, this.#config, ids, signal),
    );
    if (!signal.aborted) return;
    await this.done;
    if (this.#stopping.aborted) throw new PgwatchError('closed', STOPPED);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

const STOPPED = 'The consumers were stopped before that.';
