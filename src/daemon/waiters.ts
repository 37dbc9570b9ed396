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
