import type { Outcomes } from '../../consumers/outcome.ts';
import { type DeliveryChange, underWay } from '../../log/deliveries/delivery.ts';
import { Waiters } from '../../waiting.ts';
import { type Calling, callTasks, conclude } from './calling.ts';
import type { FailingKeys } from './failing-keys.ts';
import { TaskQueue } from './queue.ts';
import { blocked, type Place, type Settled, type Task, uncalled } from './task.ts';
import type { Workers } from './workers.ts';

/** Called for each task that is done or has a change to save; null: there is nothing to save. */
export type OnSettled = (task: Place, change: DeliveryChange | null) => void;

/** Calls handlers, up to `concurrency` at a time; those of one key one after the other. */
export class Lanes implements Workers {
  readonly #calling: Calling;
  readonly #onSettled: OnSettled;
  readonly #queue: TaskQueue;
  readonly #waiters = new Waiters();
  /** The batches being called, with their start times. */
  readonly #running = new Map<Task[], number>();
  #isClosed = false;
  #isPumping = false;

  constructor(calling: Calling, failing: FailingKeys, onSettled: OnSettled) {
    const { order, concurrency } = calling.consumer;
    this.#calling = calling;
    this.#onSettled = onSettled;
    this.#queue = new TaskQueue({
      isOrdered: order === 'key',
      isSerial: concurrency === 1,
      failing,
      onBlocked: onSettled,
    });
  }

  get waitingCount(): number {
    return this.#queue.size;
  }

  push(tasks: readonly Task[]): void {
    // Reads in progress when it closed still bring tasks, which would keep it from becoming idle.
    if (!this.#isClosed) this.#queue.push(tasks);
    this.#pump();
  }

  pushFirst(tasks: readonly Task[]): void {
    if (!this.#isClosed) this.#queue.pushFirst(tasks);
    this.#pump();
  }

  skip(settled: readonly Settled[]): void {
    for (const { task, change } of settled) this.#onSettled(task, change);
  }

  pause(isPaused: boolean): void {
    this.#queue.pause(isPaused);
    this.#pump();
  }

  close(): void {
    this.#isClosed = true;
    this.#takeBack(this.#queue.clear());
    this.#waiters.check();
  }

  /**
   * Files slow calls as retries that are due after their timeout: the position need not wait for
   * them, and only notifications of their keys do.
   */
  fileSlow(): void {
    const { timeoutMs } = this.#calling.consumer;
    const startedBefore = performance.now() - SLOW_MS;
    for (const [batch, startedAt] of this.#running) {
      for (const task of startedAt < startedBefore ? batch : []) {
        if (task.isFiled) continue;
        const place = { ...task };
        task.isFiled = true;
        task.isRecorded = true;
        task.source = null;
        this.#onSettled(place, underWay(task, timeoutMs + SLOW_MS));
        this.#queue.blockBehind(task.key);
      }
    }
    this.#waiters.check();
  }

  /** Nothing to do: positions are saved independently of the calls. */
  savePositionLazily(): void {}

  async until(isMet: () => boolean): Promise<void> {
    await this.#waiters.until(() => this.#isClosed || isMet());
  }

  async untilIdle(): Promise<void> {
    await this.#waiters.until(() => this.#running.size === 0 && this.#queue.isIdle);
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const startedAt = performance.now();
    while (!this.#isClosed && this.#running.size < this.#calling.consumer.concurrency) {
      if (performance.now() - startedAt > TURN_MS) {
        // Handlers that never await would starve the heartbeat.
        setImmediate(() => this.#pump());
        break;
      }
      const batch = this.#takeBatch();
      if (!batch) break;
      this.#call(batch);
    }
    this.#isPumping = false;
    this.#waiters.check();
  }

  #takeBatch(): Task[] | undefined {
    const first = this.#queue.take();
    if (!first) return undefined;
    const batch = [first];
    const sizeMax = this.#calling.consumer.batchSize ?? Number.POSITIVE_INFINITY;
    while (batch.length < sizeMax && !first.isFiled) {
      const next = this.#queue.takeFresh();
      if (!next) break;
      batch.push(next);
    }
    return batch;
  }

  #call(batch: Task[]): void {
    const outcomes = callTasks(this.#calling, batch);
    if (!(outcomes instanceof Promise)) {
      this.#finish(batch, outcomes);
      return;
    }
    this.#running.set(batch, performance.now());
    void outcomes.then((late) => {
      this.#running.delete(batch);
      this.#finish(batch, late);
      this.#pump();
    });
  }

  #finish(batch: Task[], outcomes: Outcomes): void {
    const { order, onDead } = this.#calling.consumer;
    const isStopping = onDead === 'stop';
    const keyOf = ({ key }: Task) => (order === 'key' ? key : null);
    // Later notifications of a key wait for an earlier one that was abandoned or has failed.
    const abandoned = new Set<string | null>();
    const failed = new Set<string | null>();
    const left: Task[] = [];
    for (const [index, task] of batch.entries()) {
      const outcome = outcomes[index];
      const key = keyOf(task);
      if (!outcome || outcome.type === 'abandoned' || (key !== null && abandoned.has(key))) {
        abandoned.add(key);
        left.push(task);
        continue;
      }
      this.#queue.release(task);
      if (
        outcome.type === 'behind' ||
        (outcome.type === 'done' && key !== null && failed.has(key))
      ) {
        // It will be called again, after the one that failed.
        this.skip([blocked(task)]);
      } else {
        const change = conclude(this.#calling, task, outcome);
        const isDead = change?.state === 'dead';
        if (change?.state === 'retry' || (isDead && isStopping)) failed.add(key);
        // Its key goes on, but the handler may have left out what comes after it.
        else if (isDead) abandoned.add(key);
        this.#onSettled(task, change);
      }
    }
    this.#takeBack(left);
  }

  /**
   * Puts back tasks that pgwatch has not called, or whose call it has stopped: no attempt is spent.
   */
  #takeBack(tasks: readonly Task[]): void {
    const isWrittenDown = ({ isRecorded, isGrouped }: Task) => isRecorded || isGrouped;
    const written = tasks.filter(isWrittenDown);
    for (const task of written) this.#queue.release(task);
    this.skip(written.map(uncalled));
    if (!this.#isClosed) this.#queue.putBack(tasks.filter((task) => !isWrittenDown(task)));
  }
}

/** How long it calls handlers without yielding to the event loop. */
const TURN_MS = 20;
/** How long a call may take before it counts as slow. */
const SLOW_MS = 1000;
