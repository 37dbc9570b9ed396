import { isStatementError } from '../../database/connect.ts';
import type { Reporter } from '../../reporter.ts';
import { backoffMs, sleep } from '../../time.ts';
import { Waiters } from '../../waiting.ts';

export type SettlingOptions = {
  /** What is settled, for what is said where it fails. */
  what: string;
  reporter: Reporter;
  hasPending(): boolean;
  /** True where nobody waits until the database can be reached again. */
  isGivenUp(): boolean;
  /**
   * Takes what is pending and settles it. Returns why it could not be: then it is pending again.
   */
  settle(): Promise<Error | undefined>;
};

/**
 * Settles behind the handlers' backs: while one settlement is under way the next ones gather. Tries
 * again where it fails, and if it never works, whoever takes over hands it out again: at least
 * once, never not at all.
 */
export class Settling {
  readonly #options: SettlingOptions;
  readonly #waiters = new Waiters();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** True while one settlement is under way: what comes now goes with the next. */
  #isSettling = false;
  /** How many have succeeded. */
  #succeeded = 0;

  constructor(options: SettlingOptions) {
    this.#options = options;
  }

  start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#options.hasPending()) this.#running ??= this.#run();
  }

  /** Starts within so many milliseconds, or sooner with something else. */
  startWithin(ms: number): void {
    this.#timer ??= setTimeout(() => this.start(), ms);
  }

  /**
   * Waits until everything that is pending now is settled, or has failed to be; not for what comes
   * meanwhile, because others may never rest.
   */
  async flush(): Promise<void> {
    this.start();
    const last = this.#succeeded + (this.#isSettling ? 2 : 1);
    await this.#waiters.until(() => this.#running === undefined || this.#succeeded >= last);
  }

  /** Settles what can be settled, and then no more. */
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
      // What a handler's failure says would be forgotten, should nobody wait for the server.
      const isCounted = failure !== undefined && (isStatementError(failure) || isGivenUp());
      failures = isCounted ? failures + 1 : failure ? failures : 0;
      if (!failure) this.#succeeded += 1;
      this.#waiters.check();
      if (failure) await this.#wait(failure, tries, failures);
    }
    this.#running = undefined;
    this.#waiters.check();
    // Nothing else may come that would take it along.
    if (hasPending() && !this.#isClosed) this.startWithin(AGAIN_MS);
  }

  /** Waits before the next attempt, and says so where it is not a matter of waiting. */
  async #wait(failure: Error, tries: number, failures: number): Promise<void> {
    const { what, reporter } = this.#options;
    const text = `${what} is not settled yet: ${failure.message}`;
    if (isStatementError(failure) && failures === FAILURES_MAX) reporter.warn(text);
    else reporter.debug(text);
    await sleep(backoffMs(tries, { baseMs: 50, capMs: 500 }), NEVER);
  }
}

const FAILURES_MAX = 5;
const AGAIN_MS = 2000;
const NEVER = new AbortController().signal;
