import type { PoolClient } from 'pg';
import type { Pool } from '../database/pool.ts';
import { toError } from '../errors.ts';
import { applyChanges, type DeliveryChange, recordAttempts } from '../log/delivery.ts';
import { type DueDelivery, readFiled, type StandingDeliveries } from '../log/due.ts';
import { safeId } from '../log/notification.ts';
import type { Page } from '../log/page.ts';
import type { Position, Xid } from '../log/position.ts';
import { savePositions, type Takeover } from '../log/progress.ts';
import { type Account, workersFor } from './account.ts';
import { Brake } from './brake.ts';
import type { Calling } from './calling.ts';
import { Careful } from './careful.ts';
import { FailingKeys } from './failing-keys.ts';
import { Lanes } from './lanes.ts';
import { Ledger, type LedgerMark } from './ledger.ts';
import { retryTasks } from './retry-tasks.ts';
import { lastOfEach, type SettlementOwner, type Settler } from './settler.ts';
import type { Place, Settled, Task } from './task.ts';
import { TransactionLane } from './transaction-lane.ts';
import { Waiters } from './waiters.ts';
import type { Workers } from './workers.ts';
import { Working } from './working.ts';

export type DeliveryOptions = {
  calling: Calling;
  schema: string;
  /** Reads the log and the deliveries. */
  pool: Pool;
  /** What handlers write with. */
  handlerPool: Pool;
  settler: Settler;
  /** once: at a dead letter that stops the consumer, it ends instead of waiting. */
  mode: 'tail' | 'once';
  /** How many rows may be read and not settled, because an earlier one takes its time. */
  openRowsMax: number;
  /** Told of each notification that is through. */
  onHandled(isReplay: boolean): void;
  onSaved(position: Position, xid: Xid): void;
  /** Told when something may be due sooner than was known. */
  onWaiting(): void;
};

/** What the new owner of a consumer begins with. */
export type OwnedConsumer = Takeover & {
  standing: StandingDeliveries;
  /** How many notifications are worked carefully: the owner before did not stop cleanly. */
  carefulCount: number;
};

/**
 * Hands the pages of a consumer that this process owns to its handlers, and settles them: the
 * position moves only past what is done or has a delivery. What is due again comes in between.
 */
export class OwnedDelivery implements Account, SettlementOwner {
  readonly consumerId: string;
  readonly epoch: number;
  readonly server: string;
  readonly isOrdered: boolean;
  readonly failing: FailingKeys;
  readonly #options: DeliveryOptions;
  readonly #ledger: Ledger;
  readonly #workers: Workers;
  readonly #working = new Working();
  readonly #brake: Brake;
  readonly #careful: Careful;
  readonly #waiters = new Waiters();
  readonly #ended = new AbortController();
  readonly #filedUpTo: number;
  readonly #failedIds = new Set<number>();
  #mark: LedgerMark;
  /** What the transaction under way saves. */
  #saving: { position: Position; xid: Xid } | undefined;
  #failure: Error | undefined;
  #isClosed = false;
  #isFenced = false;
  #savedAt = performance.now();

  constructor(options: DeliveryOptions, owned: OwnedConsumer) {
    const { consumer } = options.calling;
    this.#options = options;
    this.consumerId = consumer.id;
    this.epoch = owned.epoch;
    this.server = owned.server;
    this.isOrdered = consumer.order === 'key';
    this.failing = new FailingKeys(owned.standing.keys);
    this.#ledger = new Ledger(owned.position);
    this.#mark = this.#ledger.mark;
    this.#filedUpTo = owned.standing.highestId;
    this.#careful = new Careful({
      count: owned.carefulCount,
      filedUpTo: owned.standing.highestId,
      record: (task) => this.#record(task),
      call: (task) => this.#callAlone(task),
    });
    const onChange = (isOn: boolean) => this.#pause(isOn);
    this.#brake = new Brake({ ...options, onChange }, owned.standing.retryCount);
    this.#workers = workersFor(options.calling, options.handlerPool, this);
    this.#brake.halt(owned.standing.hasDead);
  }

  /** Aborts when nothing more can be delivered: the consumer is another's, or working has failed. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isFenced(): boolean {
    return this.#isFenced;
  }

  /** What is being called though it has a delivery. */
  get working(): Working {
    return this.#working;
  }

  /** What keeps it from new notifications. */
  get brake(): Brake {
    return this.#brake;
  }

  /** How many notifications have failed, so far, for a run to the end. */
  get failedCount(): number {
    return this.#failedIds.size;
  }

  /** Hands a page out; returns once more is welcome, or nothing more can be delivered. */
  async deliver(page: Page, isReplay: boolean, onClosed: () => void): Promise<void> {
    const filed = await this.#readFiled(page);
    const source = this.#ledger.open(page, () => {
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
    const careful = this.#careful.takeFrom(tasks);
    for (const task of careful) await this.#deliverCarefully(task);
    this.#workers.push(careful.length === 0 ? tasks : tasks.slice(careful.length));
    await this.#untilRoom();
  }

  /** Calls the handler for what the last look has found to be due again. */
  retry(found: readonly DueDelivery[]): void {
    const due = this.#working.withoutStale(found, this.isOrdered);
    const { tasks, dead } = retryTasks(this.#options.calling, due);
    for (const { key } of due) this.failing.add(key);
    // Also what is given up: until that is saved it would be read as due again, with all behind it.
    for (const { id } of [...tasks, ...dead.map(({ task }) => task)]) this.#working.add(id);
    this.#workers.skip(dead);
    const suspects = new Set(
      tasks.filter((task) => this.#careful.isSuspect(task)).map(({ chain }) => chain),
    );
    this.#workers.pushFirst(tasks.filter(({ chain }) => !suspects.has(chain)));
    for (const task of tasks.filter(({ chain }) => suspects.has(chain))) {
      this.#careful.call(task).catch((thrown) => this.#fail(thrown));
    }
  }

  /** Starts nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#workers.close();
    this.#waiters.check();
  }

  /**
   * Waits until every handler has returned, and has the position saved. Rejects where the workers
   * have failed.
   */
  async untilIdle(): Promise<void> {
    await this.#careful.untilIdle();
    await this.#workers.untilIdle();
    if (this.#failure) throw this.#failure;
    if (this.#isClosed && !this.#isFenced && this.#workers instanceof Lanes) this.#fileGaps();
    this.#savePosition(false);
  }

  settle(task: Place, change: DeliveryChange | null): void {
    this.#isThrough(task);
    if (change) {
      this.#countNew(task, change);
      this.#file([change]);
      return;
    }
    this.#waiters.check();
    if (performance.now() - this.#savedAt > SAVE_MS) this.#savePosition(false);
  }

  onBegin(): void {
    this.#mark = this.#ledger.mark;
  }

  async settleIn(client: PoolClient, settled: readonly Settled[]): Promise<string[] | null> {
    const { schema } = this.#options;
    const places = settled.map(({ task }) => task);
    const position = this.#ledger.positionWith(places, this.#mark);
    const save = { consumerId: this.consumerId, epoch: this.epoch, server: this.server, position };
    const { xid } = await savePositions(client, schema, [save], { isDurable: true });
    if (xid === null) return null;
    this.#saving = { position, xid };
    const changes = settled.flatMap(({ change }) => change ?? []);
    // From the commit on the database says that they are due, and its reply comes later.
    for (const { notificationId } of changes) this.#working.add(notificationId);
    return changes.length === 0 ? [] : applyChanges(client, schema, this, lastOfEach(changes));
  }

  onCommitted(settled: readonly Settled[], waitingKeys: readonly string[]): void {
    const changes = settled.flatMap(({ change }) => change ?? []);
    for (const change of changes) this.#note(change);
    for (const { task, change } of settled) {
      this.#isThrough(task);
      if (change) this.#countNew(task, change);
    }
    if (this.#saving) this.onSaved(this.#saving.position, this.#saving.xid);
    this.onFiled(changes, waitingKeys);
  }

  onSaved(position: Position, xid: Xid): void {
    this.#ledger.learn(position, xid);
    this.#options.onSaved(position, xid);
  }

  onFiled(changes: readonly DeliveryChange[], waitingKeys: readonly string[]): void {
    this.failing.settle(changes, waitingKeys);
    for (const change of changes) {
      if (!isUnderWay(change)) this.#working.delete(change.notificationId);
      if (change.state === 'dead') this.#brake.savedDead();
    }
    this.#waiters.check();
    if (changes.length > 0) this.#options.onWaiting();
  }

  onFenced(): void {
    this.#isFenced = true;
    this.#ended.abort();
  }

  onFailed(): void {
    this.#ended.abort();
  }

  #isThrough({ source, index, id, isReplay }: Place): void {
    this.#working.leave(id);
    this.#options.onHandled(isReplay);
    source?.settle(index);
  }

  #file(changes: readonly DeliveryChange[]): void {
    for (const change of changes) {
      this.#note(change);
      // Until it is saved, the database says that it is due.
      this.#working.add(change.notificationId);
    }
    this.#savedAt = performance.now();
    this.#options.settler.settle(this, this.#ledger.position, changes);
  }

  #note(change: DeliveryChange): void {
    const { notificationId, state } = change;
    this.failing.note(change);
    if (state === 'done') this.#failedIds.delete(notificationId);
    else if (state !== 'blocked' && this.#options.mode === 'once') {
      this.#failedIds.add(notificationId);
    }
    if (state === 'dead') this.#brake.addDead();
  }

  /** Between two counts in the database, those that come to it are counted here. */
  #countNew({ source }: Place, { state }: DeliveryChange): void {
    if (source !== null && state === 'retry') this.#brake.addRetry();
  }

  /**
   * What was not called any more, though others behind it were, becomes due, so that the position need
   * not stay before it: whoever is next would call those others again.
   */
  #fileGaps(): void {
    const { gaps } = this.#ledger;
    const changes = gaps.flatMap(({ row }): DeliveryChange[] => {
      const about = { notificationId: safeId(row[0]), key: row[4] };
      if (this.#working.has(about.notificationId)) return [];
      if (this.isOrdered && about.key !== null) return [{ ...about, state: 'blocked' }];
      return [{ ...about, state: 'retry', attempts: 0, delayMs: 0, error: null }];
    });
    for (const { source, index } of gaps) source.settle(index);
    if (changes.length > 0) this.#file(changes);
  }

  #pause(isOn: boolean): void {
    this.#workers.pause(isOn);
    this.#waiters.check();
    if (isOn && this.#options.mode === 'once') this.#ended.abort();
  }

  #fail(thrown: unknown): void {
    this.#failure = toError(thrown);
    this.onFailed();
  }

  /** @param isLazy for a position that only moved past what the consumer does not want */
  #savePosition(isLazy: boolean): void {
    const { settler } = this.#options;
    if (this.#workers instanceof TransactionLane) {
      // It has saved what it did itself.
      if (isLazy) this.#workers.savePositionLazily();
    } else if (isLazy) {
      settler.settleLazily(this, this.#ledger.position);
    } else {
      this.#savedAt = performance.now();
      settler.settle(this, this.#ledger.position);
    }
  }

  async #untilRoom(): Promise<void> {
    if (this.#hasRoom()) return;
    // Where one call takes its time, what is done behind it fills the ledger.
    const isFilling = () => this.#ledger.openRows > this.#options.openRowsMax / 2;
    const timer = setInterval(() => {
      if (this.#workers instanceof Lanes && isFilling()) this.#workers.fileSlow();
    }, SLOW_MS);
    await this.#workers.until(() => this.#hasRoom()).finally(() => clearInterval(timer));
  }

  #hasRoom(): boolean {
    const { calling, openRowsMax } = this.#options;
    const { concurrency, batchSize } = calling.consumer;
    const waitingMax = Math.max(2 * concurrency, batchSize ?? 1);
    return this.#workers.waitingCount < waitingMax && this.#ledger.openRows < openRowsMax;
  }

  /** Which of a page have a delivery already: settled, though the position was not saved since. */
  async #readFiled({ rows }: Page): Promise<ReadonlySet<number>> {
    const { pool, schema } = this.#options;
    const ids = rows.map((row) => safeId(row[0])).filter((id) => id <= this.#filedUpTo);
    if (ids.length === 0) return NONE;
    return pool.withClient((client) => readFiled(client, schema, this.consumerId, ids));
  }

  async #deliverCarefully(task: Task): Promise<void> {
    await this.#waiters.until(() => this.#isClosed || !this.#brake.isOn);
    if (this.#isClosed) return;
    if (this.isOrdered && this.failing.has(task.key)) {
      await this.#careful.takeTurn(async () => this.#workers.push([task]));
      return;
    }
    this.#working.add(task.id);
    await this.#careful.call(task);
  }

  async #callAlone(task: Task): Promise<void> {
    this.#workers.pushFirst([task]);
    await this.#waiters.until(() => this.#isClosed || !this.#working.has(task.id));
  }

  /** False where the consumer is not ours any longer. */
  async #record({ id: notificationId, key, attempt }: Task): Promise<boolean> {
    if (this.#isClosed) return false;
    const { pool, schema, calling } = this.#options;
    const delayMs = Math.max(RECORDED_MS_MIN, calling.consumer.backoffMs(attempt));
    const attempts = [{ notificationId, key, attempt, delayMs }];
    const isOurs = await pool.withClient((client) =>
      recordAttempts(client, schema, this, attempts),
    );
    if (!isOurs) this.onFenced();
    return isOurs;
  }
}

/** True for what was filed because its call takes long: it is still being called. */
function isUnderWay(change: DeliveryChange): boolean {
  return change.state === 'retry' && change.error === null && change.attempts > 0;
}

/** While a long page is worked, its position is saved so often. */
const SAVE_MS = 500;
const SLOW_MS = 500;
const NONE: ReadonlySet<number> = new Set();
/** A call that was recorded is not due again before it can have been made. */
const RECORDED_MS_MIN = 1000;
