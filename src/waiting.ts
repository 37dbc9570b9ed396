import { sleep } from './time.ts';

/** An event to wait for that may have happened already. It carries no data. */
export class Bell {
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  #hasRung = false;

  ring(): void {
    this.#hasRung = true;
    for (const listener of this.#listeners) listener();
    for (const wake of this.#waiting) wake();
  }

  /** Calls the listener with each ring, until the signal aborts. */
  listen(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  /** Forgets earlier rings. Called before checking for work, so a ring during the check is kept. */
  clear(): void {
    this.#hasRung = false;
  }

  /** Waits for a ring, or the timeout, or until the signal aborts. True if it has rung. */
  async wait(durationMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#hasRung || signal.aborted) return this.#hasRung;
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#waiting.add(wake);
    await sleep(durationMs, AbortSignal.any([signal, woken.signal]));
    this.#waiting.delete(wake);
    return this.#hasRung;
  }
}

/** Runs tasks one after the other, in the order in which they were added. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the work after all earlier work has ended, even if that failed. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves once all work added so far has ended. */
  async untilIdle(): Promise<void> {
    await this.#last;
  }
}

/** Promises for conditions. Whoever may have made one true calls check(). */
export class Waiters {
  readonly #waiting = new Set<{ isMet: () => boolean; resolve: () => void }>();

  /** Resolves once the condition holds. */
  async until(isMet: () => boolean): Promise<void> {
    if (isMet()) return;
    await new Promise<void>((resolve) => this.#waiting.add({ isMet, resolve }));
  }

  /** Checks all conditions again, after something has changed. */
  check(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.isMet()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
