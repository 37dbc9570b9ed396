import { Turns } from '../../waiting.ts';
import type { FailingKeys } from './failing-keys.ts';
import { blocked, type Task, uncalled } from './task.ts';
import type { Workers } from './workers.ts';

export type CarefulOptions = {
  isOrdered: boolean;
  failing: FailingKeys;
  workers: Workers;
  /** True while nothing new is called. */
  isHeld(): boolean;
  /** True once nothing at all is called any more. */
  isClosed(): boolean;
  /**
   * Writes down, in one transaction, that the tasks are about to be called, and counts the call of
   * one that is alone. Returns what is to be called; null: nothing.
   */
  record(tasks: readonly Task[]): Promise<Task[] | null>;
  /** True once its call is over, and that is saved. */
  isThrough(task: Task): boolean;
  /** Resolves once the condition holds, or nothing is called any more. */
  until(isMet: () => boolean): Promise<void>;
};

/**
 * Calls one group of notifications at a time, and only once that is written down: a process may
 * have died over one of them. Should this one die too, the group is what it died over, and each of
 * it is called alone next. What dies alone is to blame, and that counts.
 */
export class Careful {
  readonly #options: CarefulOptions;
  readonly #turns = new Turns();

  constructor(options: CarefulOptions) {
    this.#options = options;
  }

  /**
   * Calls the group when it is its turn, and waits until that is over. While nothing new is called,
   * new ones let those that come again go first.
   */
  async call(group: readonly Task[]): Promise<void> {
    const { isHeld, until } = this.#options;
    while (!(await this.#turns.take(() => this.#take(group)))) await until(() => !isHeld());
  }

  async untilIdle(): Promise<void> {
    await this.#turns.untilIdle();
  }

  /** False where it has to be asked for again. */
  async #take(group: readonly Task[]): Promise<boolean> {
    const { workers, isHeld, isClosed, record, isThrough, until } = this.#options;
    if (isClosed()) return true;
    // Looked at in its turn: what was called before it may have become a dead letter.
    if (isHeld() && group.some(({ isFiled }) => !isFiled)) return false;
    const ready = group.filter((task) => this.#isCalled(task));
    workers.skip(group.filter((task) => !ready.includes(task)).map(blocked));
    const called = ready.length > 0 ? await record(this.#chained(ready)) : null;
    if (called && isClosed()) workers.skip(called.map(uncalled));
    else if (called) {
      workers.pushFirst(called);
      await until(() => called.every(isThrough));
    }
    return true;
  }

  /** False where it has to wait for one of its key that fails: then its call is not one. */
  #isCalled({ isFiled, chain, key }: Task): boolean {
    if (isFiled) return !chain?.isBroken;
    return !(this.#options.isOrdered && this.#options.failing.has(key));
  }

  /**
   * What is recorded is not looked for among failing keys any longer: those behind one of their key
   * wait for it.
   */
  #chained(tasks: readonly Task[]): Task[] {
    const chains = new Map<string, { isBroken: boolean }>();
    return tasks.map((task) => {
      const { key, chain: own } = task;
      if (own || key === null || !this.#options.isOrdered) return task;
      const chain = chains.get(key) ?? { isBroken: false };
      chains.set(key, chain);
      return { ...task, chain };
    });
  }
}

/**
 * Divides tasks into groups, in their order; those that are to be called alone have one of their
 * own.
 */
export function groupsOf(
  tasks: Iterable<Task>,
  { concurrency, onDead }: { concurrency: number; onDead: string },
  alone: ReadonlySet<Task> = NONE,
): Task[][] {
  // Nothing may be called after a dead letter then, and what is recorded would be.
  const sizeMax = onDead === 'stop' ? 1 : Math.max(concurrency, GROUP_MIN);
  const groups: Task[][] = [];
  let isOpen = false;
  for (const task of tasks) {
    const isAlone = alone.has(task);
    const last = groups.at(-1);
    if (last && isOpen && !isAlone && last.length < sizeMax) last.push(task);
    else groups.push([task]);
    isOpen = !isAlone;
  }
  return groups;
}

const NONE: ReadonlySet<Task> = new Set();
/**
 * So many share the two commits of a group, and are called alone should a process die over one of
 * them.
 */
const GROUP_MIN = 32;
