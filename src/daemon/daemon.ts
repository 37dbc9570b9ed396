import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Config } from '../config/define.ts';
import { surrounded } from '../consumers/around.ts';
import { consumerReporter } from '../consumers/context.ts';
import type { Consumer } from '../consumers/define.ts';
import { hooksOf } from '../consumers/hooks.ts';
import { isStatementError } from '../database/connect.ts';
import { Pool } from '../database/pool.ts';
import { usualTarget } from '../database/target.ts';
import { PgwatchError, toError } from '../errors.ts';
import { pageReader, type ReadPage } from '../log/page.ts';
import type { Reporter } from '../reporter.ts';
import { formatDuration, sleep } from '../time.ts';
import { publishTransition } from '../transitions.ts';
import type { Calling } from './calls/calling.ts';
import { DeadLetterHook } from './calls/dead-letter-hook.ts';
import { FailureReports } from './calls/failure-reports.ts';
import { Meter } from './calls/meter.ts';
import { plainDatabase } from './calls/plain-database.ts';
import { Suspicions } from './calls/suspicions.ts';
import { CatchUpReports } from './catch-up-reports.ts';
import type { Control } from './control/control.ts';
import { heldText } from './control/held-text.ts';
import { interruption, isFatal, reconnectMs } from './control/interruption.ts';
import { answerMsMax, logSessions } from './control/log-sessions.ts';
import { AtWork } from './owned/at-work.ts';
import { Settler } from './owned/settler.ts';
import { Patience } from './patience.ts';
import { runSession } from './session.ts';
import type { Lasting } from './session-options.ts';

export type DaemonOptions = {
  config: Config;
  consumers: readonly Consumer[];
  /** The ids of all consumers that have files, or run in the program, if not all run here. */
  knownIds?: readonly string[];
  reporter: Reporter;
  /** Default: pageReader. Tests pass faulty readers to check that the faults are caught. */
  readPage?: ReadPage;
  /** Moves the consumers past everything they missed; they never receive it. Default false. */
  skipPlayback?: boolean;
  /** A program's own pool, for context.db of handlers. Default null: a pool of the daemon's. */
  ownPool?: pg.Pool | null;
  /** Called once each consumer has its position, and again after each lost connection. */
  onReady?(): void;
};

/** Runs consumers, session after session, until it is stopped. */
export class Daemon {
  readonly #options: Required<DaemonOptions>;
  readonly #lasting: Lasting;
  readonly #failures: FailureReports;
  readonly #deadLetters: DeadLetterHook;
  /** Aborts the signal that handlers receive. */
  readonly #abandon = new AbortController();
  /** Aborts a little later, when the daemon no longer waits for anything. */
  readonly #cutOff = new AbortController();
  #hasConnected = false;
  /** True once the daemon no longer waits for the database to come back. */
  #isGivenUp = false;
  /** The most recent control connection. */
  #control: Control | undefined;

  constructor(options: DaemonOptions) {
    const { config, reporter } = options;
    const hooks = hooksOf(config);
    this.#options = {
      readPage: pageReader(config.schema),
      skipPlayback: false,
      knownIds: [],
      ownPool: null,
      onReady: () => {},
      ...options,
      consumers: options.consumers.map((each) => surrounded(each, hooks.around)),
    };
    this.#deadLetters = new DeadLetterHook(hooks.onDead, reporter);
    this.#failures = new FailureReports(reporter);
    const ids = options.consumers.map(({ id }) => id);
    const pools = this.#makePools(options);
    this.#lasting = {
      ...pools,
      daemonId: randomUUID(),
      settler: new Settler(pools.logPool, config.schema, reporter, () => this.#isGivenUp),
      atWork: new AtWork(),
      sharing: new Map(),
      skipping: new Set(options.skipPlayback ? ids : []),
      suspicions: new Suspicions(),
      meters: new Map(ids.map((id) => [id, new Meter()])),
      callingFor: (consumer) => this.#callingFor(consumer),
    };
  }

  /**
   * Runs until the signal aborts and the running handlers have finished; reconnects indefinitely.
   * @throws PgwatchError if waiting cannot help: a wrong password at the start, a missing schema, a
   *   restored cluster
   */
  async run(signal: AbortSignal): Promise<void> {
    await this.#runSessions('tail', signal);
  }

  /** Handles everything that is visible now, then returns. Throws like run(). */
  async runOnce(signal: AbortSignal): Promise<void> {
    await this.#runSessions('once', signal);
  }

  #makePools({
    config,
    reporter,
    ownPool: own = null,
  }: DaemonOptions): Pick<Lasting, 'logPool' | 'handlerPool'> {
    const { poolSize } = config;
    const logSize = Math.min(LOG_CONNECTIONS_MAX, Math.floor(poolSize / 2));
    const common = {
      ...usualTarget(config),
      place: () => this.#control?.place ?? null,
      onError: (error: Error) => reporter.debug(`A pooled connection failed: ${error.message}`),
    };
    return {
      logPool: new Pool({
        ...common,
        size: logSize,
        ...logSessions(config),
      }),
      handlerPool: new Pool({
        ...common,
        own,
        size: own?.options.max ?? poolSize - logSize,
        sessions: 'user',
      }),
    };
  }

  async #runSessions(mode: 'tail' | 'once', signal: AbortSignal): Promise<void> {
    const { config, reporter, consumers, knownIds, readPage } = this.#options;
    const display = new CatchUpReports(reporter, mode);
    const timers: NodeJS.Timeout[] = [];
    // Cron, CI and tests wait for runOnce(), so it must not wait forever.
    const patience = new Patience(mode === 'once' ? ONCE_PATIENCE_MS : Number.POSITIVE_INFINITY);
    patience.spent.addEventListener('abort', () => {
      this.#isGivenUp = true;
    });
    const onStop = () => {
      this.#isGivenUp = true;
      timers.push(...this.#abandonLater());
    };
    if (signal.aborted) onStop();
    else signal.addEventListener('abort', onStop, { once: true });
    try {
      for (let failures = 0; !signal.aborted; ) {
        try {
          const session = {
            setup: { config, consumers, knownIds, reporter, readPage, mode, display },
            lasting: this.#lasting,
            cutOff: this.#cutOff.signal,
            hasNoPatience: patience.spent,
            predecessor: this.#control?.backend ?? null,
            onConnected: (control: Control) => {
              this.#hasConnected = true;
              this.#control = control;
              control.lost.addEventListener('abort', () => patience.lose());
              publishTransition({ type: 'connected' });
            },
            onWorking: () => {
              failures = 0;
              patience.rest();
              this.#options.onReady();
            },
          };
          await runSession(session, signal);
          break;
        } catch (thrown) {
          failures += 1;
          patience.lose();
          await this.#recover(toError(thrown), { failures, leftMs: patience.leftMs }, signal);
        }
      }
    } finally {
      display.stop();
      patience.rest();
      // If the daemon cannot continue, handlers get the same time as at a stop.
      if (timers.length === 0) onStop();
      signal.removeEventListener('abort', onStop);
      await this.#untilIdle();
      this.#failures.close();
      const { settler, logPool, handlerPool } = this.#lasting;
      await settler.close();
      await this.#deadLetters.untilIdle(this.#cutOff.signal);
      await Promise.all([logPool.close(), handlerPool.close()]);
      for (const timer of timers) clearTimeout(timer);
    }
  }

  async #recover(
    error: Error,
    { failures, leftMs }: { failures: number; leftMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) return;
    if (isFatal(error, this.#hasConnected)) throw error;
    const { config, reporter } = this.#options;
    publishTransition({ type: 'disconnected', error });
    const waitMs = reconnectMs(config, failures);
    const reason = interruption(error);
    const held = await heldText(this.#lasting.logPool, config.schema, error);
    if (leftMs <= 0) throw new PgwatchError('connection_failed', `${reason}${held} ${GIVEN_UP}`);
    const nextMs = Math.min(waitMs, leftMs);
    reporter.warn(`${reason}${held} Trying again in ${formatDuration(nextMs)}.`);
    await sleep(nextMs, signal);
  }

  #callingFor(consumer: Consumer): Calling {
    const { reporter } = this.#options;
    const { handlerPool: pool, meters } = this.#lasting;
    return {
      consumer,
      reporter,
      failures: this.#failures,
      deadLetters: this.#deadLetters,
      meter: meters.get(consumer.id) ?? new Meter(),
      tools: {
        makeDb: (call) => plainDatabase(pool, call, (thrown) => this.#isOutage(thrown)),
        reporter: consumerReporter(consumer, reporter),
        isFenced: () => false,
      },
      answerMsMax: answerMsMax(this.#options.config),
      abandon: this.#abandon.signal,
    };
  }

  /**
   * True if a query was lost together with the control connection and the server has not crashed; a
   * crash may be the handler's fault.
   */
  async #isOutage(thrown: unknown): Promise<boolean> {
    const control = this.#control;
    if (isStatementError(thrown) || !control) return false;
    return !(await control.isAlive()) && !control.hasCrashed;
  }

  #abandonLater(): NodeJS.Timeout[] {
    const { shutdownTimeoutMs } = this.#options.config;
    const cutOff = () => {
      this.#cutOff.abort();
      this.#lasting.logPool.shut();
      this.#lasting.handlerPool.shut();
    };
    return [
      setTimeout(() => this.#abandon.abort(), shutdownTimeoutMs),
      setTimeout(cutOff, shutdownTimeoutMs + CUT_OFF_MS),
    ];
  }

  /** Also waits for the handlers of lost sessions; each ends soon after #abandon aborts. */
  async #untilIdle(): Promise<void> {
    const { atWork, sharing } = this.#lasting;
    await Promise.all([atWork.untilIdle(), ...sharing.values()]);
  }
}

const LOG_CONNECTIONS_MAX = 4;
/** The database gets this long after handlers are abandoned, to save their positions. */
const CUT_OFF_MS = 2000;
const ONCE_PATIENCE_MS = 10_000;
const GIVEN_UP =
  `Gave up after trying for ${formatDuration(ONCE_PATIENCE_MS)}: ` +
  'a run with --once does not wait for the database indefinitely.';
