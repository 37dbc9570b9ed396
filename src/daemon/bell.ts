import { sleep } from '../time.ts';

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
