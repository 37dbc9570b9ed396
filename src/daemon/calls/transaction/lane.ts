import type { Consumer } from '../../../consumers/define.ts';
import { isStatementError } from '../../../database/connect.ts';
import { PgwatchError, toError } from '../../../errors.ts';
import { Waiters } from '../../../waiting.ts';
import { conclude, concludeLoss } from '../calling.ts';
import { TaskQueue } from '../queue.ts';
import { type Settled, type Task, uncalled } from '../task.ts';
import type { Workers } from '../workers.ts';
import { CallBroken } from './call.ts';
import { reasonOf, TransactionLost, type Verdict } from './loss.ts';
import { endTransaction, runTransaction, type TransactionOptions } from './run.ts';

/**
 * Calls handlers one after the other, in transactions that settle what they did: effects, position
 * and deliveries commit together or not at all. Nothing else settles such a consumer: a position
 * saved late by another path would make an effect happen again.
 */
export class TransactionLane implements Workers {
  readonly #options: TransactionOptions;
  readonly #queue: TaskQueue;
  readonly #waiters = new Waiters();
  /**
   * Settled without a call, or after a transaction that failed: saved with the next transaction.
   */
  #settled: Settled[] = [];
  /** Tasks whose transaction was undone: they are called before others. */
  #again: Task[] = [];
  /** How many tasks are still to be called alone, to find the one whose commit fails. */
  #alone = 0;
  /** How many transactions were lost since the last commit, and when the first of them was. */
  #lost = { failures: 0, startedAt: 0 };
  #isPaused = false;
  #hasMoved = false;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isClosed = false;
  #hasWarned = false;
  #failure: Error | undefined;

  constructor(options: TransactionOptions) {
    this.#options = options;
    this.#queue = new TaskQueue({
      // Tasks that wait for their key are settled in their turn, like calls: nothing is filed ahead
      // of the position, since a filed task that succeeds would be called again from the position.
      isOrdered: false,
      isSerial: true,
      failing: options.account.failing,
      onBlocked: (task, change) => this.#settled.push({ task, change }),
    });
  }

  get waitingCount(): number {
    return this.#queue.size + this.#again.length;
  }

  push(tasks: readonly Task[]): void {
    if (!this.#isClosed) this.#queue.push(tasks);
    this.#start();
  }

  pushFirst(tasks: readonly Task[]): void {
    if (!this.#isClosed) this.#queue.pushFirst(tasks);
    this.#start();
  }

  skip(settled: readonly Settled[]): void {
    this.#settled.push(...settled);
    this.#start();
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#queue.pause(isPaused);
    this.#start();
  }

  /** Nothing to do: nothing can be settled outside the transaction. */
  fileSlow(): void {}

  /**
   * The position has moved past notifications that the consumer does not want: saved within a
   * second.
   */
  savePositionLazily(): void {
    this.#hasMoved = true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#start();
    }, LAZY_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#takeBack([...this.#queue.clear(), ...this.#again.splice(0)]);
    this.#waiters.check();
  }

  async until(isMet: () => boolean): Promise<void> {
    await this.#waiters.until(() => this.#isClosed || isMet() || this.#failure !== undefined);
    if (this.#failure) throw this.#failure;
  }

  async untilIdle(): Promise<void> {
    await this.#waiters.until(() => !this.#isRunning);
    if (this.#failure) throw this.#failure;
  }

  #start(): void {
    if (this.#failure || this.#isRunning) return;
    // Once closed, it still saves what is settled without a call.
    if (this.#isClosed && this.#settled.length === 0) return;
    this.#isRunning = true;
    void this.#run()
      .catch((thrown: unknown) => {
        this.#isRunning = false;
        // The transaction's outcome is unknown, or the connection is gone.
        this.#failure = toError(thrown);
        this.#options.account.onFailed();
      })
      .then(() => this.#waiters.check());
  }

  async #run(): Promise<void> {
    for (;;) {
      // Taken before the transaction begins: what it settles was read before it had an id (see
      // Position).
      const tasks = this.#takeStretch();
      if (tasks.length === 0 && this.#settled.length === 0 && !this.#hasMoved) {
        // Set in the same turn as the check: tasks pushed from now on have to start it again.
        this.#isRunning = false;
        return;
      }
      await this.#transact(tasks);
      this.#waiters.check();
    }
  }

  #takeStretch(): Task[] {
    const sizeMax = this.#alone > 0 ? 1 : stretchMax(this.#options.calling.consumer);
    const tasks: Task[] = [];
    while (tasks.length < sizeMax && !this.#isClosed) {
      const task = this.#takeAgain() ?? this.#queue.take();
      if (!task) break;
      if (task.isRecorded && tasks.length > 0) {
        this.#again.unshift(task);
        break;
      }
      tasks.push(task);
      if (task.isRecorded) break;
    }
    return tasks;
  }

  #takeAgain(): Task | undefined {
    const index = this.#again.findIndex(({ isFiled }) => isFiled || !this.#isPaused);
    return index < 0 ? undefined : this.#again.splice(index, 1)[0];
  }

  async #transact(tasks: Task[]): Promise<void> {
    const { account } = this.#options;
    const earlier = this.#settled.splice(0);
    this.#hasMoved = false;
    try {
      const committed = await runTransaction(this.#options, tasks, {
        earlier,
        isStopping: () => this.#isClosed,
        onOutside: () => this.#warnOutside(),
      });
      this.#alone = Math.max(0, this.#alone - 1);
      if (!committed) return account.onFenced();
      this.#afterCommit(tasks, committed);
    } catch (thrown) {
      if (thrown instanceof TransactionLost) return this.#afterLoss(tasks, earlier, thrown);
      this.#settled.unshift(...earlier);
      this.#undo(tasks, thrown);
    }
  }

  #afterCommit(tasks: Task[], committed: { settled: Settled[]; waitingKeys: string[] }): void {
    this.#lost.failures = 0;
    const through = new Set(committed.settled.map(({ task }) => task));
    this.#callAgain(tasks.filter((task) => !through.has(task)));
    this.#options.account.onCommitted(committed.settled, committed.waitingKeys);
  }

  /** @throws if the session is over: the next one starts from the position in the database */
  async #afterLoss(tasks: Task[], earlier: Settled[], lost: TransactionLost): Promise<void> {
    const { calling, judge, pool } = this.#options;
    const { failure, progress } = lost;
    const judging = judge.judge(calling.consumer.id, lost);
    const verdict = await judging.catch(async (thrown: unknown) => {
      await endTransaction(pool, progress);
      throw thrown;
    });
    if (verdict === 'committed' && progress.committing) {
      return this.#afterCommit(tasks, progress.committing);
    }
    this.#settled.unshift(...earlier);
    const { called } = progress;
    const culprit = verdict === 'the call' && called.length === 1 ? called[0] : undefined;
    if (verdict === 'others' || progress.xid === undefined) {
      this.#callAgain(tasks);
    } else if (culprit || tasks.length === 1) {
      this.#blame(tasks, culprit ?? (tasks[0] as Task), { error: lossIn(reasonOf(lost)), verdict });
    } else if (tasks.length > 1) {
      this.#callAlone(tasks);
    }
    if (culprit) return;
    if (this.#lost.failures === 0) this.#lost.startedAt = performance.now();
    this.#lost.failures += 1;
    await judge.pause(failure, this.#lost);
  }

  #blame(tasks: Task[], culprit: Task, how: { error: Error; verdict: Verdict }): void {
    const change = concludeLoss(this.#options.calling, culprit, how);
    this.#settled.push({ task: culprit, change });
    this.#callAgain(tasks.filter((task) => task !== culprit));
  }

  #undo(tasks: Task[], thrown: unknown): void {
    if (thrown instanceof CallBroken && thrown.isTogether) {
      this.#callAlone(tasks);
    } else if (thrown instanceof CallBroken) {
      const { settled } = thrown;
      if (settled) this.#settled.push(settled);
      this.#callAgain(tasks.filter((task) => task !== settled?.task));
    } else if (isOfHandlers(thrown) && tasks.length > 0) {
      this.#undoCommit(tasks, toError(thrown));
    } else {
      throw thrown;
    }
  }

  /**
   * The transaction could not be settled or committed, because of a deferred constraint for
   * example.
   */
  #undoCommit(tasks: Task[], error: Error): void {
    if (tasks.length > 1) {
      this.#callAlone(tasks);
      return;
    }
    const { calling } = this.#options;
    for (const task of tasks) {
      const outcome = { type: 'failed', error, retryAfterMs: null } as const;
      this.#settled.push({ task, change: conclude(calling, task, outcome) });
    }
  }

  /**
   * Takes back tasks that pgwatch has not called, or whose call it has stopped: no attempt is
   * spent.
   */
  #takeBack(tasks: readonly Task[]): void {
    const recorded = tasks.filter(({ isRecorded, isGrouped }) => isRecorded || isGrouped);
    this.#settled.push(...recorded.map(uncalled));
    this.#start();
  }

  #callAgain(tasks: readonly Task[]): void {
    if (this.#isClosed) this.#takeBack(tasks);
    else this.#again = [...tasks, ...this.#again];
  }

  #callAlone(tasks: readonly Task[]): void {
    this.#callAgain(tasks);
    this.#alone = tasks.length;
  }

  #warnOutside(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { consumer, reporter } = this.#options.calling;
    reporter.warn(
      `${consumer.id} has transaction: true but writes over another connection than context.db. ` +
        'Those writes are neither undone on failure nor made exactly once. Use context.db.',
      { consumer: consumer.id },
    );
  }
}

function lossIn(cause: Error): PgwatchError {
  return new PgwatchError(
    'handler_failed',
    `The transaction of context.db was lost during the call: ${cause.message}`,
    { cause },
  );
}

/** The maximum number of the consumer's notifications in one transaction. */
export function stretchMax({ batchSize }: Consumer): number {
  return batchSize === 1 ? STRETCH_MAX : (batchSize ?? BATCH_MAX);
}

/**
 * True for errors that handlers can cause: a constraint checked at the commit, or a commit of their
 * own.
 */
function isOfHandlers(thrown: unknown): boolean {
  return (
    isStatementError(thrown) || (thrown instanceof PgwatchError && thrown.code === 'handler_failed')
  );
}

/**
 * How many notifications share a transaction. Each has a savepoint, and beyond 64 of these in one
 * transaction every snapshot in the cluster becomes more expensive (PGPROC_MAX_CACHED_SUBXIDS).
 */
const STRETCH_MAX = 50;
const LAZY_MS = 1000;
/** The default for handleBatch, which has one savepoint for the whole batch. */
const BATCH_MAX = 500;
