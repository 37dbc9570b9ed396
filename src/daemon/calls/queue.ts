import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import type { FailingKeys } from './failing-keys.ts';
import { blocked, type Task } from './task.ts';

/**
 * The tasks of a consumer that have not been started. Retries go first. With order by key, one task
 * of a key is out at a time, and those after one that fails are blocked.
 */
export class TaskQueue {
  readonly #options: QueueOptions;
  readonly #again: Task[] = [];
  #fresh: Task[] = [];
  /** The index of the next fresh task: shifting a long list costs more. */
  #freshIndex = 0;
  /** For each key with a task out, the tasks that wait for it. */
  readonly #behind = new Map<string, Task[]>();
  /** Tasks that have waited for their key and are next. */
  readonly #released: Task[] = [];
  #behindCount = 0;
  #isPaused = false;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** How many fresh tasks wait. */
  get size(): number {
    return this.#fresh.length - this.#freshIndex + this.#behindCount + this.#released.length;
  }

  /** True if nothing would be taken, whatever is out now. */
  get isIdle(): boolean {
    return (this.size === 0 || this.#isPaused) && this.#again.length === 0;
  }

  push(tasks: readonly Task[]): void {
    this.#fresh = [...this.#fresh.slice(this.#freshIndex), ...tasks];
    this.#freshIndex = 0;
  }

  /** Adds retries. */
  pushFirst(tasks: readonly Task[]): void {
    this.#again.push(...tasks);
  }

  /** While it is paused, only retries are taken. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
  }

  /**
   * Drops everything: it is read and delivered again later.
   * @returns the dropped retries
   */
  clear(): Task[] {
    const others = [...this.#released, ...[...this.#behind.values()].flat()];
    const again = [...this.#again, ...others.filter(({ isFiled }) => isFiled)];
    this.#fresh = [];
    this.#freshIndex = 0;
    this.#again.length = 0;
    this.#released.length = 0;
    this.#behind.clear();
    this.#behindCount = 0;
    return again;
  }

  /** The next task, which is out from then on; undefined if none can be started. */
  take(): Task | undefined {
    return this.#take(true);
  }

  /** The next fresh task, to be called together with one that was taken before. */
  takeFresh(): Task | undefined {
    return this.#again.length === 0 ? this.#take(false) : undefined;
  }

  /** The task is no longer out: the next one of its key may be taken. */
  release({ key }: Task): void {
    const behind = key === null ? undefined : this.#behind.get(key);
    if (key === null || !behind) return;
    const next = behind.shift();
    if (!next) {
      this.#behind.delete(key);
      return;
    }
    this.#behindCount -= 1;
    this.#released.push(next);
  }

  /** Puts tasks back before everything else that waits. */
  putBack(tasks: readonly Task[]): void {
    this.#released.unshift(...tasks);
  }

  /** Blocks the tasks that wait for the one of their key that is out. */
  blockBehind(key: string | null): void {
    const behind = key === null ? undefined : this.#behind.get(key);
    for (const task of behind?.splice(0) ?? []) {
      this.#behindCount -= 1;
      if (!this.#settleBlocked(task)) this.#released.push(task);
    }
  }

  #take(mayBeFiled: boolean): Task | undefined {
    const next = () => this.#takeReleased(mayBeFiled);
    for (let task = next(); task; task = next()) {
      if (!this.#settleBlocked(task)) return task;
      this.release(task);
    }
    for (let task = this.#next(); task; task = this.#next()) {
      if (this.#settleBlocked(task) || this.#putBehind(task)) continue;
      return task;
    }
    return undefined;
  }

  #takeReleased(mayBeFiled: boolean): Task | undefined {
    const index = this.#released.findIndex(({ isFiled }) =>
      isFiled ? mayBeFiled : !this.#isPaused,
    );
    return index < 0 ? undefined : this.#released.splice(index, 1)[0];
  }

  #next(): Task | undefined {
    const again = this.#again.shift();
    if (again || this.#isPaused) return again;
    const task = this.#fresh[this.#freshIndex];
    if (task) this.#freshIndex += 1;
    return task;
  }

  /**
   * Settles the task as blocked if it has to wait for one that fails; returns whether it has to.
   */
  #settleBlocked(task: Task): boolean {
    const { isOrdered, failing, onBlocked } = this.#options;
    const { key, isFiled, chain } = task;
    const isBlocked = isFiled ? chain?.isBroken : isOrdered && failing.has(key);
    if (isBlocked) onBlocked(task, blocked(task).change);
    return isBlocked ?? false;
  }

  #putBehind(task: Task): boolean {
    const { isSerial, isOrdered } = this.#options;
    const { key } = task;
    if (isSerial || !isOrdered || key === null) return false;
    const behind = this.#behind.get(key);
    if (!behind) {
      this.#behind.set(key, []);
      return false;
    }
    behind.push(task);
    this.#behindCount += 1;
    return true;
  }
}

export type QueueOptions = {
  isOrdered: boolean;
  /** True if only one task, or one batch, is out at a time anyway. */
  isSerial: boolean;
  failing: FailingKeys;
  /** Called for each blocked task with the change to file, or null if its row already says so. */
  onBlocked(task: Task, change: DeliveryChange | null): void;
};
