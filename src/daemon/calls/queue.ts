import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import type { FailingKeys } from './failing-keys.ts';
import { blocked, type Task } from './task.ts';

/**
 * The tasks of a consumer that have not been started. Those that come again go first. With order by
 * key, one task of a key is out at a time, and what comes behind one that fails is blocked.
 */
export class TaskQueue {
  readonly #options: QueueOptions;
  readonly #again: Task[] = [];
  #fresh: Task[] = [];
  /** Where the next fresh one stands: shifting a long list costs more. */
  #freshIndex = 0;
  /** For each key of which a task is out: those behind it. */
  readonly #behind = new Map<string, Task[]>();
  /** What was behind, and has its turn. */
  readonly #released: Task[] = [];
  #behindCount = 0;
  #isPaused = false;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** How many fresh ones wait. */
  get size(): number {
    return this.#fresh.length - this.#freshIndex + this.#behindCount + this.#released.length;
  }

  /** True where nothing would be given out, whatever is out now. */
  get isIdle(): boolean {
    return (this.size === 0 || this.#isPaused) && this.#again.length === 0;
  }

  push(tasks: readonly Task[]): void {
    this.#fresh = [...this.#fresh.slice(this.#freshIndex), ...tasks];
    this.#freshIndex = 0;
  }

  /** For tasks that come again. */
  pushFirst(tasks: readonly Task[]): void {
    this.#again.push(...tasks);
  }

  /** While it is paused, only what comes again is given out. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
  }

  /**
   * Drops everything: it is handed out again by whoever reads it again.
   * @returns what was dropped and came again
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

  /** The next task, which is out from then on; undefined where none can be started. */
  take(): Task | undefined {
    return this.#take(true);
  }

  /** The next fresh task, to be called together with one that was taken before. */
  takeFresh(): Task | undefined {
    return this.#again.length === 0 ? this.#take(false) : undefined;
  }

  /** The task is not out any longer: the next of its key may be. */
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

  /** Gives them out again, before everything else that waits. */
  putBack(tasks: readonly Task[]): void {
    this.#released.unshift(...tasks);
  }

  /** Blocks what is behind a task of the key that is out, instead of waiting for it. */
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

  /** True where it has to wait for one that fails. */
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
  /** True where one task, or one batch, is out at a time anyway. */
  isSerial: boolean;
  failing: FailingKeys;
  /**
   * Told of what is not given out: the change that says so, or null where its row says it already.
   */
  onBlocked(task: Task, change: DeliveryChange | null): void;
};
