import type { FailingKeys } from './failing-keys.ts';
import type { Task } from './task.ts';
import { Turns } from './turns.ts';
import type { Workers } from './workers.ts';

export type CarefulOptions = {
  isOrdered: boolean;
  failing: FailingKeys;
  workers: Workers;
  /** Writes down that the task is about to be called. Returns what is to be called; null: nothing. */
  record(task: Task): Promise<Task | null>;
  /** True once its call is over, and that is saved. */
  isThrough(task: Task): boolean;
  /** Resolves once the condition holds, or nothing is called any more. */
  until(isMet: () => boolean): Promise<void>;
};

/**
 * Calls one notification at a time, and only once the attempt is written down: a process may have
 * died over it, and should this one die too, it is known over which.
 */
export class Careful {
  readonly #options: CarefulOptions;
  readonly #turns = new Turns();

  constructor(options: CarefulOptions) {
    this.#options = options;
  }

  /** Calls it when it is its turn, and waits until that is over. */
  call(task: Task): Promise<void> {
    return this.#turns.take(async () => {
      const { workers, record, isThrough, until } = this.#options;
      const called = this.#isCalled(task) ? await record(task) : task;
      if (!called) return;
      if (called.isFiled) workers.pushFirst([called]);
      else workers.push([called]);
      await until(() => isThrough(called));
    });
  }

  async untilIdle(): Promise<void> {
    await this.#turns.untilIdle();
  }

  /** False where it has to wait for one of its key that fails: then its call is not one. */
  #isCalled({ isFiled, chain, key }: Task): boolean {
    if (isFiled) return !chain?.isBroken;
    return !(this.#options.isOrdered && this.#options.failing.has(key));
  }
}
