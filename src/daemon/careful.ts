import type { Task } from './task.ts';

export type CarefulOptions = {
  /** How many new notifications are called carefully; none after a clean stop. */
  count: number;
  /** Up to this id a delivery may be older than this process. */
  filedUpTo: number;
  /** Writes down that the task is about to be called. False where it may not be. */
  record(task: Task): Promise<boolean>;
  /** Calls it, and waits until that is settled. */
  call(task: Task): Promise<void>;
};

/**
 * After an owner that did not stop cleanly: calls one notification at a time, and only once the
 * attempt is written down, because that owner may have died over it. So for the first new ones, and
 * for each that had a delivery then, once.
 */
export class Careful {
  readonly #options: CarefulOptions;
  readonly #isNeeded: boolean;
  readonly #called = new Set<number>();
  #count: number;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: CarefulOptions) {
    this.#options = options;
    this.#isNeeded = options.count > 0;
    this.#count = options.count;
  }

  /** Those of new tasks that are to be called carefully. */
  takeFrom(tasks: readonly Task[]): Task[] {
    const careful = tasks.slice(0, this.#count);
    this.#count -= careful.length;
    return careful;
  }

  /** True for what failed, or was being called, under an owner before, and was not called since. */
  isSuspect({ id }: Task): boolean {
    return this.#isNeeded && id <= this.#options.filedUpTo && !this.#called.has(id);
  }

  /** Calls it when it is its turn. */
  call(task: Task): Promise<void> {
    return this.takeTurn(async () => {
      this.#called.add(task.id);
      if (!task.chain?.isBroken && !(await this.#options.record(task))) return;
      await this.#options.call({ ...task, isFiled: true });
    });
  }

  /** Does it when everything before is done. */
  takeTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async untilIdle(): Promise<void> {
    await this.#turn;
  }
}
