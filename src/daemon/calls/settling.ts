import { isStatementError } from '../../database/connect.ts';
import type { Reporter } from '../../reporter.ts';
import { backoffMs, sleep } from '../../time.ts';
import { Waiters } from '../../waiting.ts';

export type SettlingOptions = {
  /** What is settled, as the subject of messages about failures. */
  what: string;
  reporter: Reporter;
  hasPending(): boolean;
  /** True if the daemon no longer waits for the database to come back. */
  isGivenUp(): boolean;
  /** Settles what is pending. Returns the reason if that fails; then it is pending again. */
  settle(): Promise<Error | undefined>;
};

/**
 * Settles in the background: while one settlement is in progress, the next ones are collected. It
 * tries again after a failure. If it never succeeds, the next owner delivers the notifications
 * again: each is handled at least once.
 */
export class Settling {
  readonly #options: SettlingOptions;
  readonly #waiters = new Waiters();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** True while a settlement is in progress: what is added now goes with the next one. */
  #isSettling = false;
  /** How many settlements have succeeded. */
  #succeeded = 0;

  constructor(options: SettlingOptions) {
    this.#options = options;
  }

  start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#options.hasPending()) this.#running ??= this.#run();
  }

  /** Starts within this many milliseconds, or sooner with something else. */
  startWithin(ms: number): void {
    this.#timer ??= setTimeout(() => this.start(), ms);
  }

  /**
   * Waits until everything that is pending now is settled, or settling has failed. Does not wait
   * for what is added meanwhile, because others may never stop.
   */
  async flush(): Promise<void> {
    this.start();
    const last = this.#succeeded + (this.#isSettling ? 2 : 1);
    await this.#waiters.until(() => this.#running === undefined || this.#succeeded >= last);
  }

  /** Settles what can be settled, then stops. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.start();
    await this.#running;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    const { hasPending, isGivenUp, settle } = this.#options;
    for (let failures = 0, tries = 0; hasPending() && failures < FAILURES_MAX; ) {
      this.#isSettling = true;
      const failure = await settle();
      this.#isSettling = false;
      tries = failure ? tries + 1 : 0;
      // While the daemon waits for the server, an outage does not count as a failure: giving up
      // would lose what is known about failed handlers.
      const isCounted = failure !== undefined && (isStatementError(failure) || isGivenUp());
      failures = isCounted ? failures + 1 : failure ? failures : 0;
      if (!failure) this.#succeeded += 1;
      this.#waiters.check();
      if (failure) await this.#wait(failure, tries, failures);
    }
    this.#running = undefined;
    this.#waiters.check();
    // There may be no later settlement to include it.
    if (hasPending() && !this.#isClosed) this.startWithin(AGAIN_MS);
  }

  /** Waits before the next attempt; warns if waiting does not help. */
  async #wait(failure: Error, tries: number, failures: number): Promise<void> {
    const { what, reporter } = this.#options;
    const text = `${what} could not be settled yet: ${failure.message}`;
    if (isStatementError(failure) && failures === FAILURES_MAX) reporter.warn(text);
    else reporter.debug(text);
    await sleep(backoffMs(tries, { baseMs: 50, capMs: 500 }), NEVER);
  }
}

const FAILURES_MAX = 5;
const AGAIN_MS = 2000;
const NEVER = new AbortController().signal;
