import { sleep } from './time.ts';

/** Something to wait for that may have happened already. It carries nothing: it is a boolean. */
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

  /** Forgets rings so far: called before a look, so that a ring during it is kept. */
  clear(): void {
    this.#hasRung = false;
  }

  /** Waits for a ring, at most so long; returns early when the signal aborts. True for a ring. */
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

/** Does one thing after the other, in the order in which they are asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Does it once everything before is done, whether that succeeded or not. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves once everything asked for so far is done. */
  async untilIdle(): Promise<void> {
    await this.#last;
  }
}

/** Promises for conditions that somebody makes true, and says so. */
export class Waiters {
  readonly #waiting = new Set<{ isMet: () => boolean; resolve: () => void }>();

  /** Resolves once the condition holds. */
  async until(isMet: () => boolean): Promise<void> {
    if (isMet()) return;
    await new Promise<void>((resolve) => this.#waiting.add({ isMet, resolve }));
  }

  /** Looks again: something has changed. */
  check(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.isMet()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
