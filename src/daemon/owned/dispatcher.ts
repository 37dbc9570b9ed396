/*
 * Owned consumers: one process at a time owns a consumer and makes all its calls.
 *
 *   standing by ── takeover: epoch + 1 ──▶ catching up ──▶ tail ──▶ finishing ──▶ released
 *                                               ▲            │
 *                                               └─ too slow ─┘
 *
 * ownership.ts decides which consumers this process takes, and takes them over. runner.ts reads
 * what a consumer missed, then follows the tail. This dispatcher passes pages to the workers; the
 * ledger tracks which rows are settled, and the settler saves the position up to the first row that
 * is not, together with the deliveries. With transaction: true, the lane of calls/transaction saves
 * both, in the transaction that the handlers use. Retries that are due (retries.ts) come between.
 * A dead letter (with onDead 'stop') or too many retries hold back new notifications: the consumer
 * is `stopped` or `retrying`.
 *
 * What can fail:
 * - A handler: its notification becomes a retry or a dead letter; its key waits for the retry.
 * - The process: the next owner treats as suspect what may have been in progress, and records those
 *   calls before it makes them.
 * - The control connection: the session ends, and the next one starts from the saved position. A
 *   handler that still runs keeps its consumer out of it (at-work.ts) until it returns.
 * - Contact with the others: a process that was frozen or cut off may have lost its consumers. A
 *   save with an old epoch, or from another run of the server, changes no row, and the consumer is
 *   fenced: its handlers finish, and nothing more is saved.
 * - A save: it is tried again. An outcome that is never saved means redelivery, never a loss.
 */

import type { Clients } from '../../database/pool.ts';
import { takeBackAttempts } from '../../log/deliveries/attempts.ts';
import { underWay } from '../../log/deliveries/delivery.ts';
import type { DueDelivery } from '../../log/deliveries/due.ts';
import { readFiled } from '../../log/deliveries/standing.ts';
import { safeId } from '../../log/notification.ts';
import type { Page } from '../../log/page.ts';
import type { Position, Xid } from '../../log/positions/position.ts';
import { Brake } from '../calls/brake.ts';
import { groupsOf } from '../calls/careful.ts';
import { Crew, type CrewTools } from '../calls/crew.ts';
import { Life } from '../calls/life.ts';
import { retryTasks } from '../calls/retry-tasks.ts';
import type { Suspicions } from '../calls/suspicions.ts';
import { recorded, type Task } from '../calls/task.ts';
import { OwnedAccount } from './account.ts';
import { InHand } from './in-hand.ts';
import type { Settler } from './settler.ts';
import type { OwnedConsumer } from './takeover.ts';
import { Working } from './working.ts';

export type DispatcherOptions = CrewTools & {
  schema: string;
  /** Reads the log and the deliveries. */
  pool: Clients;
  settler: Settler;
  suspicions: Suspicions;
  /** once: if a dead letter stops the consumer, it ends instead of waiting. */
  mode: 'tail' | 'once';
  /**
   * How many new notifications are called carefully if the previous owner may have died over one.
   */
  carefulMax: number;
  /** How many rows may be read but not settled while an earlier one is still being handled. */
  openRowsMax: number;
  /** Called for each notification that is done or has a delivery. */
  onHandled(isReplay: boolean): void;
  onSaved(position: Position, xid: Xid): void;
  /** Called when a delivery may be due earlier than expected. */
  onWaiting(): void;
};

/**
 * Passes the pages of an owned consumer to its handlers and settles them: the position moves only
 * past notifications that are done or have a delivery. Retries that are due come in between.
 */
export class OwnedDispatcher {
  readonly consumerId: string;
  readonly epoch: number;
  readonly isOrdered: boolean;
  /** True if a dead letter stops the consumer. */
  readonly isStopping: boolean;
  /** Notifications that are being called although they have a delivery. */
  readonly working = new Working();
  /** Holds back new notifications. */
  readonly brake: Brake;
  readonly life = new Life();
  readonly #options: DispatcherOptions;
  readonly #account: OwnedAccount;
  readonly #crew: Crew;
  readonly #filedUpTo: number;
  readonly #inHand: InHand;

  constructor(options: DispatcherOptions, owned: OwnedConsumer) {
    const { calling, mode, carefulMax } = options;
    const { consumer } = calling;
    const { life, working } = this;
    const { standing } = owned;
    this.#options = options;
    this.consumerId = consumer.id;
    this.epoch = owned.epoch;
    this.isOrdered = consumer.order === 'key';
    this.isStopping = consumer.onDead === 'stop';
    this.#filedUpTo = standing.highestId;
    this.#inHand = new InHand(owned, carefulMax);
    const brake = new Brake(calling, standing.retryCount);
    this.brake = brake;
    const { isOrdered } = this;
    this.#account = new OwnedAccount(
      { ...options, isOrdered, working, brake, life },
      owned,
      standing.keys,
    );
    this.#crew = new Crew({
      ...options,
      life,
      brake,
      account: this.#account,
      isHeld: () => brake.isOn,
      endsWhenHeld: mode === 'once',
      record: (tasks) => this.#record(tasks),
      isThrough: ({ source, index, id }) =>
        source === null ? !working.has(id) : source.isSettled(index),
    });
    brake.halt(standing.hasDead);
    // A run with --once would end before it has tried any of them.
    if (mode === 'tail') brake.countRetries(standing.retryCount);
  }

  /** How many notifications have failed so far, for a run with --once. */
  get failedCount(): number {
    return this.#account.failed.count;
  }

  /** Delivers a page. Returns once there is room for more, or nothing more can be delivered. */
  async deliver(page: Page, isReplay: boolean, onClosed: () => void): Promise<void> {
    const filed = await this.#readFiled(page);
    const source = this.#account.open(page, () => {
      this.#savePosition(page.rows.length === 0);
      onClosed();
    });
    const tasks: Task[] = [];
    for (const [index, row] of page.rows.entries()) {
      const id = safeId(row[0]);
      if (filed.has(id)) source.settle(index);
      else
        tasks.push({ row, id, key: row[4], isReplay, attempt: 1, isFiled: false, source, index });
    }
    const careful = this.#takeCareful(tasks, isReplay);
    // Recorded calls go first: they would overtake what waits or fails in the pages before.
    if (careful.length > 0) await this.#whileFilingSlow(() => this.#account.isNext(source));
    await this.#crew.callCarefully(careful);
    this.#crew.workers.push(tasks);
    // While one call is slow, the notifications done after it fill the ledger.
    const isFilling = () => this.#account.openRows > this.#options.openRowsMax / 2;
    await this.#whileFilingSlow(() => this.#hasRoom(), isFilling);
  }

  /** Calls the handler for the retries that the last query found to be due. */
  retry(found: readonly DueDelivery[]): void {
    const due = this.working.withoutStale(found, this.isOrdered);
    // Those left out may be due after all; the next query will find them.
    if (due.length < found.length) this.#options.onWaiting();
    const { calling, suspicions } = this.#options;
    const isSuspected = (id: number) => suspicions.take(this.consumerId, id);
    const { tasks, alone, grouped, dead } = retryTasks(calling, due, { isSuspected });
    for (const { key } of due) this.#account.failing.add(key);
    // Dead letters too: until they are saved, they would be read as due again, with all after them.
    for (const { id } of [...tasks, ...dead.map(({ task }) => task)]) this.working.add(id);
    const { workers } = this.#crew;
    workers.skip(dead);
    workers.pushFirst(tasks.filter((task) => !alone.has(task) && !grouped.has(task)));
    const { consumer } = calling;
    this.#crew.startCarefully([
      ...groupsOf(grouped, consumer),
      ...groupsOf(alone, consumer, alone),
    ]);
  }

  /** Notes keys whose notifications another session has made wait. */
  learnFailing(keys: readonly string[]): void {
    for (const key of keys) this.#account.failing.add(key);
  }

  /** Starts no more calls. */
  close(): void {
    this.#crew.close();
  }

  /**
   * Waits until every handler has returned, then has the position saved. Rejects if the workers
   * have failed.
   */
  async untilIdle(): Promise<void> {
    const { life } = this;
    await this.#crew.untilIdle();
    life.throwFailure();
    const { isTransactional } = this.#options.calling.consumer;
    if (life.isClosed && !life.isFenced && !isTransactional) this.#account.fileGaps();
    this.#savePosition(false);
  }

  /** Takes back the recorded attempts of calls that were running when the consumer was lost. */
  async takeBackAttempts(): Promise<void> {
    const { pool, schema } = this.#options;
    await pool.withClient((client) =>
      takeBackAttempts(client, schema, this.consumerId, this.#account.recorded),
    );
  }

  /**
   * Takes from new tasks those that the previous owner may have died over, and everything up to one
   * that the server may have crashed over, which is called alone.
   */
  #takeCareful(tasks: Task[], isReplay: boolean): Task[][] {
    const { suspicions, calling } = this.#options;
    const alone = new Set(tasks.filter(({ id }) => suspicions.take(this.consumerId, id)));
    const crashedCount = tasks.findLastIndex((task) => alone.has(task)) + 1;
    const careful = this.#inHand.take(tasks, isReplay, crashedCount);
    return groupsOf(careful, calling.consumer, alone);
  }

  /** Transactional consumers save their position in their own transactions. */
  #savePosition(isLazy: boolean): void {
    if (!this.#options.calling.consumer.isTransactional) this.#account.savePosition(isLazy);
    else if (isLazy) this.#crew.workers.savePositionLazily();
  }

  /** Waits for the condition, and files slow calls meanwhile if it is worth it. */
  async #whileFilingSlow(isMet: () => boolean, isWorthIt = () => true): Promise<void> {
    if (isMet()) return;
    const { workers } = this.#crew;
    const timer = setInterval(() => {
      if (isWorthIt()) workers.fileSlow();
    }, SLOW_MS);
    await workers.until(isMet).finally(() => clearInterval(timer));
  }

  #hasRoom(): boolean {
    const { calling, openRowsMax } = this.#options;
    const { concurrency, batchSize } = calling.consumer;
    const waitingMax = Math.max(2 * concurrency, batchSize ?? 1);
    return this.#crew.workers.waitingCount < waitingMax && this.#account.openRows < openRowsMax;
  }

  /**
   * The ids in a page that already have a delivery: filed, though the position has not passed them.
   */
  async #readFiled({ rows }: Page): Promise<ReadonlySet<number>> {
    const { pool, schema } = this.#options;
    const ids = rows.map((row) => safeId(row[0])).filter((id) => id <= this.#filedUpTo);
    if (ids.length === 0) return NONE;
    return pool.withClient((client) => readFiled(client, schema, this.consumerId, ids));
  }

  /**
   * Files them as deliveries together with the position after them. If the position stayed before
   * one, its delivery could succeed and the owner after the next crash would read it again.
   */
  async #record(tasks: readonly Task[]): Promise<Task[]> {
    const { backoffMs } = this.#options.calling.consumer;
    const { recording } = this.#account;
    const isAlone = tasks.length === 1;
    for (const { id } of tasks) recording.add(id);
    const changes = tasks.map((task) => {
      const delayMs = Math.max(RECORDED_MS_MIN, backoffMs(task.attempt));
      return { task, change: underWay(task, delayMs, isAlone) };
    });
    this.#crew.workers.skip(changes);
    await this.life.until(() => tasks.every(({ id }) => !recording.has(id)));
    return tasks.map((task) => recorded(task, isAlone, null));
  }
}

const SLOW_MS = 500;
const NONE: ReadonlySet<number> = new Set();
/** A recorded call is not due again before it can have been made. */
const RECORDED_MS_MIN = 1000;
