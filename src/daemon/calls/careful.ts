import { Turns } from '../../waiting.ts';
import type { FailingKeys } from './failing-keys.ts';
import { blocked, type Task, uncalled } from './task.ts';
import type { Workers } from './workers.ts';

export type CarefulOptions = {
  isOrdered: boolean;
  failing: FailingKeys;
  workers: Workers;
  /** True while new notifications are held back. */
  isHeld(): boolean;
  /** True once nothing is called any more. */
  isClosed(): boolean;
  /**
   * Records in one transaction that the tasks are about to be called; a task that is alone counts
   * an attempt. Returns the tasks to call; null: none.
   */
  record(tasks: readonly Task[]): Promise<Task[] | null>;
  /** True once the call is over and its outcome is saved. */
  isThrough(task: Task): boolean;
  /** Resolves once the condition is true, or nothing is called any more. */
  until(isMet: () => boolean): Promise<void>;
};

/**
 * Calls one group of notifications at a time, each after its calls are recorded: a process may have
 * died over one of them. If this process dies too, it died over the recorded group, and each
 * notification in it is called alone next. One that the process dies over alone is to blame, and
 * that counts as an attempt.
 */
export class Careful {
  readonly #options: CarefulOptions;
  readonly #turns = new Turns();

  constructor(options: CarefulOptions) {
    this.#options = options;
  }

  /**
   * Calls the group when its turn comes, and waits until its calls are over. While new
   * notifications are held back, groups with new ones let groups of retries go first.
   */
  async call(group: readonly Task[]): Promise<void> {
    const { isHeld, until } = this.#options;
    while (!(await this.#turns.take(() => this.#take(group)))) await until(() => !isHeld());
  }

  async untilIdle(): Promise<void> {
    await this.#turns.untilIdle();
  }

  /** Returns false if the group has to wait for another turn. */
  async #take(group: readonly Task[]): Promise<boolean> {
    const { workers, isHeld, isClosed, record, isThrough, until } = this.#options;
    if (isClosed()) return true;
    // Checked in its turn: an earlier call may have ended in a dead letter.
    if (isHeld() && group.some(({ isFiled }) => !isFiled)) return false;
    const ready = group.filter((task) => this.#isCalled(task));
    workers.skip(group.filter((task) => !ready.includes(task)).map(blocked));
    const called = ready.length > 0 ? await record(this.#chained(ready)) : null;
    if (called && isClosed()) workers.skip(called.map(uncalled));
    else if (called) {
      workers.pushFirst(called);
      // Each counts once: one that is due again meanwhile waits for its turn after this group.
      const open = new Set(called);
      await until(() => {
        for (const task of open) if (isThrough(task)) open.delete(task);
        return open.size === 0;
      });
    }
    return true;
  }

  /** False if it has to wait for an earlier notification of its key that fails. */
  #isCalled({ isFiled, chain, key }: Task): boolean {
    if (isFiled) return !chain?.isBroken;
    return !(this.#options.isOrdered && this.#options.failing.has(key));
  }

  /**
   * Recorded tasks are no longer checked against failing keys, so tasks of one key form a chain:
   * later ones wait for earlier ones.
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

/** Divides tasks into groups, in order. Each task in `alone` gets a group of its own. */
export function groupsOf(
  tasks: Iterable<Task>,
  { concurrency, onDead }: { concurrency: number; onDead: string },
  alone: ReadonlySet<Task> = NONE,
): Task[][] {
  // With 'stop', nothing may be called after a dead letter, but recorded tasks would be.
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
 * The minimum group size. A group shares two commits; if the process dies over one of its
 * notifications, all of them are called alone.
 */
const GROUP_MIN = 32;
