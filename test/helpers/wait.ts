import { subscribeTransitions, type Transition } from '../../src/transitions.ts';

/**
 * Waits for a condition that no event announces, by checking it every 20 ms.
 * @param condition returns true, or the text for the error if it never holds
 */
export async function until(
  what: string,
  condition: () => boolean | string | Promise<boolean | string>,
  timeoutMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer === true) return;
    if (performance.now() > deadline) {
      throw new Error(`Timed out waiting until ${what} (${answer}).`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Collects the daemon's transitions from now on, and waits for one of them. */
export class TransitionWatch {
  readonly seen: Transition[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #unsubscribe: () => void;

  constructor() {
    this.#unsubscribe = subscribeTransitions((transition) => {
      this.seen.push(transition);
      for (const check of this.#waiting) check();
    });
  }

  /** Resolves once `times` transitions of that type, with those fields, have been seen. */
  async for(expected: Partial<Transition> & Pick<Transition, 'type'>, times = 1): Promise<void> {
    const isThere = () => this.#count(expected) >= times;
    if (isThere()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`No ${JSON.stringify(expected)} among ${this.seen.map((t) => t.type)}.`));
      }, 15_000);
      const check = () => {
        if (!isThere()) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }

  stop(): void {
    this.#unsubscribe();
  }

  #count(expected: Record<string, unknown>): number {
    return this.seen.filter((transition) =>
      Object.entries(expected).every(
        ([name, value]) => (transition as Record<string, unknown>)[name] === value,
      ),
    ).length;
  }
}
