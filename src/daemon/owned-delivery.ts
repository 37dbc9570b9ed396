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
import type { Calling } from './calling.ts';
import { FailingKeys } from './failing-keys.ts';
import { Lanes } from './lanes.ts';
import { Ledger, type LedgerMark } from './ledger.ts';
import { retryTasks } from './retry-tasks.ts';
import { lastOfEach, type SettlementOwner, type Settler } from './settler.ts';
import type { Place, Settled, Task } from './task.ts';
import { TransactionLane } from './transaction-lane.ts';
import { Waiters } from './waiters.ts';
import type { Workers } from './workers.ts';

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
  /** What is being called though it has a delivery, so that it is not read as due. */
  readonly #working = new Set<number>();
  /** What has left it since the last look at what is due: that look may have seen it. */
  readonly #through = new Set<number>();
  readonly #waiters = new Waiters();
  readonly #ended = new AbortController();
  readonly #filedUpTo: number;
  readonly #failedIds = new Set<number>();
  #mark: LedgerMark;
  /** What the transaction under way saves. */
  #saving: { position: Position; xid: Xid } | undefined;
  #carefulCount: number;
  /** Where the owner before did not stop cleanly: of what has a delivery since then, what was called. */
  readonly #called: Set<number> | null;
  /** Careful calls go one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Dead letters that are not saved yet. */
  #newDead = 0;
  #retryCount: number;
  #failure: Error | undefined;
  #isClosed = false;
  #isFenced = false;
  #isHalted = false;
  #isOverfull = false;
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
    this.#carefulCount = owned.carefulCount;
    this.#called = owned.carefulCount > 0 ? new Set() : null;
    this.#retryCount = owned.standing.retryCount;
    this.#workers = workersFor(options.calling, options.handlerPool, this);
    this.halt(owned.standing.hasDead);
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

  /** How many are being called though they have a delivery. */
  get workingCount(): number {
    return this.#working.size;
  }

  /** A look at what is due begins. Returns what is not to be seen as due. */
  look(): readonly number[] {
    this.#through.clear();
    return [...this.#working];
  }

  /** How many notifications have failed, so far, for a run to the end. */
  get failedCount(): number {
    return this.#failedIds.size;
  }

  /** True where nothing new is handed out because of a dead letter. */
  get isHalted(): boolean {
    return this.#isHalted;
  }

  /** Says whether there are dead letters, which only matters with onDead 'stop'. */
  halt(hasDead: boolean): void {
    const { consumer, reporter } = this.#options.calling;
    const isHalted = (hasDead || this.#newDead > 0) && consumer.onDead === 'stop';
    if (isHalted === this.#isHalted) return;
    this.#isHalted = isHalted;
    this.#pause();
    if (!isHalted) {
      reporter.info(`${consumer.id} goes on: no dead letter is left.`);
      return;
    }
    reporter.warn(
      `${consumer.id} has a dead letter and onDead: 'stop': it takes nothing new until that is retried or discarded (pgwatch dlq list --consumer ${consumer.id}).`,
    );
    if (this.#options.mode === 'once') this.#ended.abort();
  }

  /** True where nothing new is handed out because too much waits for a retry. */
  get isOverfull(): boolean {
    return this.#isOverfull;
  }

  /** Says how many wait for a retry: while these are too many, nothing new is handed out. */
  countRetries(count: number): void {
    this.#retryCount = count;
    const isOverfull = count > (this.#isOverfull ? RETRIES_MAX / 2 : RETRIES_MAX);
    if (isOverfull === this.#isOverfull) return;
    this.#isOverfull = isOverfull;
    this.#pause();
    const { consumer, reporter } = this.#options.calling;
    if (!isOverfull) {
      reporter.info(`${consumer.id} takes new notifications again.`);
      return;
    }
    reporter.warn(
      `${consumer.id} fails so often that more than ${RETRIES_MAX} notifications wait for a retry: it takes nothing new until half of them are through (pgwatch dlq list --state retry --consumer ${consumer.id}).`,
    );
    if (this.#options.mode === 'once') this.#ended.abort();
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
    const careful = tasks.slice(0, this.#carefulCount);
    for (const task of careful) {
      await this.#waiters.until(() => this.#isClosed || !(this.#isHalted || this.#isOverfull));
      await this.#takeTurn(() => this.#deliverCarefully(task));
    }
    this.#workers.push(careful.length === 0 ? tasks : tasks.slice(careful.length));
    await this.#untilRoom();
  }

  /**
   * Calls the handler for what the last look has found to be due again. After an unclean end each that
   * stood then is called alone for once, its attempt recorded: a process may have died over it.
   */
  retry(found: readonly DueDelivery[]): void {
    const due = this.#withoutStale(found);
    const { tasks, dead } = retryTasks(this.#options.calling, due);
    for (const { key } of due) this.failing.add(key);
    // Also what is given up: until that is saved it would be read as due again, with all behind it.
    for (const { id } of [...tasks, ...dead.map(({ task }) => task)]) this.#working.add(id);
    this.#workers.skip(dead);
    const isSuspect = ({ id }: Task) =>
      this.#called !== null && id <= this.#filedUpTo && !this.#called.has(id);
    const suspects = new Set(tasks.filter(isSuspect).map(({ chain }) => chain));
    this.#workers.pushFirst(tasks.filter(({ chain }) => !suspects.has(chain)));
    for (const task of tasks.filter(({ chain }) => suspects.has(chain))) {
      this.#takeTurn(() => this.#callCarefully(task)).catch((thrown) => this.#fail(thrown));
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
    await this.#turn;
    await this.#workers.untilIdle();
    if (this.#failure) throw this.#failure;
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
    for (const { state, notificationId } of changes) {
      this.#working.delete(notificationId);
      if (state === 'dead') this.#newDead -= 1;
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
    if (this.#working.delete(id)) this.#through.add(id);
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
    if (state !== 'dead') return;
    this.#newDead += 1;
    this.halt(true);
  }

  /** Between two counts in the database, those that come to it are counted here. */
  #countNew({ source }: Place, { state }: DeliveryChange): void {
    if (source !== null && state === 'retry') this.countRetries(this.#retryCount + 1);
  }

  #pause(): void {
    this.#workers.pause(this.#isHalted || this.#isOverfull);
    this.#waiters.check();
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

  #takeTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** As all after an unclean end: an earlier process may have died over this notification. */
  async #deliverCarefully(task: Task): Promise<void> {
    if (this.#isClosed) return;
    this.#carefulCount -= 1;
    if (this.isOrdered && this.failing.has(task.key)) {
      this.#workers.push([task]);
      return;
    }
    this.#working.add(task.id);
    await this.#callCarefully(task);
  }

  /** Calls the handler once it is written down that it will be, and waits for it. */
  async #callCarefully(task: Task): Promise<void> {
    if (this.#isClosed) return;
    this.#called?.add(task.id);
    if (!task.chain?.isBroken && !(await this.#record(task))) return;
    this.#workers.pushFirst([{ ...task, isFiled: true }]);
    await this.#waiters.until(() => this.#isClosed || !this.#working.has(task.id));
  }

  /**
   * The look may have come to the server late: what was worked on since is not due any longer, nor
   * what stands behind it. Another look follows, because what is settled says so.
   */
  #withoutStale(found: readonly DueDelivery[]): DueDelivery[] {
    const isStale = (id: number) => this.#working.has(id) || this.#through.has(id);
    const stale = found.filter(({ notificationId }) => isStale(notificationId));
    const keys = new Set(this.isOrdered ? stale.map(({ key }) => key) : []);
    return found.filter(({ notificationId, key }) => {
      return !isStale(notificationId) && (key === null || !keys.has(key));
    });
  }

  /** False where the consumer is not ours any longer. */
  async #record({ id: notificationId, key, attempt }: Task): Promise<boolean> {
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

/** While a long page is worked, its position is saved so often. */
const SAVE_MS = 500;
const SLOW_MS = 500;
const NONE: ReadonlySet<number> = new Set();
/** Of a consumer's notifications so many may wait for a retry before it takes no new ones. */
const RETRIES_MAX = 10_000;
/** A call that was recorded is not due again before it can have been made. */
const RECORDED_MS_MIN = 1000;
