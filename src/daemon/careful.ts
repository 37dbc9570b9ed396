import type { FailingKeys } from './failing-keys.ts';
import { blocked, type Task, uncalled } from './task.ts';
import { Turns } from './turns.ts';
import type { Workers } from './workers.ts';

export type CarefulOptions = {
  isOrdered: boolean;
  failing: FailingKeys;
  workers: Workers;
  /** True while nothing new is called. */
  isHeld(): boolean;
  /** True once nothing at all is called any more. */
  isClosed(): boolean;
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

  /**
   * Calls it when it is its turn, and waits until that is over. While nothing new is called, a new one
   * lets those that come again go first.
   */
  async call(task: Task): Promise<void> {
    const { isHeld, until } = this.#options;
    while (!(await this.#turns.take(() => this.#take(task)))) await until(() => !isHeld());
  }

  async untilIdle(): Promise<void> {
    await this.#turns.untilIdle();
  }

  /** False where it has to be asked for again. */
  async #take(task: Task): Promise<boolean> {
    const { workers, isHeld, isClosed, record, isThrough, until } = this.#options;
    if (isClosed()) return true;
    // Looked at in its turn: what was called before it may have become a dead letter.
    if (isHeld() && !task.isFiled) return false;
    if (!this.#isCalled(task)) {
      workers.skip([blocked(task)]);
      return true;
    }
    const called = await record(task);
    if (called && isClosed()) workers.skip([uncalled(called)]);
    else if (called) {
      workers.pushFirst([called]);
      await until(() => isThrough(called));
    }
    return true;
  }

  /** False where it has to wait for one of its key that fails: then its call is not one. */
  #isCalled({ isFiled, chain, key }: Task): boolean {
    if (isFiled) return !chain?.isBroken;
    return !(this.#options.isOrdered && this.#options.failing.has(key));
  }
}
