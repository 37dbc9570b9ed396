import type { PoolClient } from 'pg';
import { applyChanges } from '../../log/deliveries/apply-changes.ts';
import {
  type DeliveryChange,
  isUnderWay,
  lastOfEach,
  unhandled,
} from '../../log/deliveries/delivery.ts';
import { safeId } from '../../log/notification.ts';
import type { Page } from '../../log/page.ts';
import type { Position, Xid } from '../../log/positions/position.ts';
import type { Takeover } from '../../log/positions/progress.ts';
import { type RowPlaces, savePositions } from '../../log/positions/save.ts';
import type { Account } from '../calls/account.ts';
import type { Brake } from '../calls/brake.ts';
import { FailedIds } from '../calls/failed-ids.ts';
import { FailingKeys } from '../calls/failing-keys.ts';
import type { Life } from '../calls/life.ts';
import type { Suspicions } from '../calls/suspicions.ts';
import type { Place, Settled } from '../calls/task.ts';
import { Ledger, type LedgerMark, type LedgerPage } from './ledger.ts';
import type { SettlementOwner, Settler } from './settler.ts';
import type { Working } from './working.ts';

export type OwnedAccountOptions = {
  schema: string;
  settler: Settler;
  mode: 'tail' | 'once';
  isOrdered: boolean;
  working: Working;
  brake: Brake;
  life: Life;
  suspicions: Suspicions;
  /** Called for each notification that is done or has a delivery. */
  onHandled(isReplay: boolean): void;
  onSaved(position: Position, xid: Xid): void;
  /** Called when a delivery may be due earlier than expected. */
  onWaiting(): void;
};

/**
 * Tracks what is handled for a consumer that this process owns, and has it settled: the position
 * after everything that is done or has a delivery, and the deliveries.
 */
export class OwnedAccount implements Account, SettlementOwner {
  readonly consumerId: string;
  readonly epoch: number;
  readonly server: string;
  readonly isOrdered: boolean;
  readonly failing: FailingKeys;
  readonly failed: FailedIds;
  /** Notifications that will be called once that is recorded. */
  readonly recording = new Set<number>();
  /** Recorded attempts of calls whose outcome is not saved yet, by notification. */
  readonly recorded = new Map<number, number>();
  readonly #options: OwnedAccountOptions;
  readonly #ledger: Ledger;
  readonly #places: RowPlaces = new Map();
  /** Retries that the brake has counted and that are not saved yet. */
  readonly #newRetries = new Set<number>();
  #mark: LedgerMark;
  /** What the current transaction saves. */
  #saving: { position: Position; xid: Xid } | undefined;
  /** True if a notification has left `working` and onWaiting has not been called since. */
  #hasLeft = false;
  #savedAt = performance.now();

  /** @param failingKeys keys that have a notification waiting at the start */
  constructor(options: OwnedAccountOptions, owned: Takeover, failingKeys: readonly string[]) {
    this.#options = options;
    this.consumerId = owned.consumerId;
    this.epoch = owned.epoch;
    this.server = owned.server;
    this.isOrdered = options.isOrdered;
    this.failing = new FailingKeys(failingKeys);
    this.failed = new FailedIds(options.mode);
    this.#ledger = new Ledger(owned.position);
    this.#mark = this.#ledger.mark;
  }

  /** The number of rows in pages that are not completely settled. */
  get openRows(): number {
    return this.#ledger.openRows;
  }

  /** True once everything in the pages before it is settled. */
  isNext(page: LedgerPage): boolean {
    return this.#ledger.isNext(page);
  }

  /** Adds a page to the ledger. */
  open(page: Page, onClosed: () => void): LedgerPage {
    return this.#ledger.open(page, onClosed);
  }

  settle(task: Place, change: DeliveryChange | null): void {
    this.#isThrough(task, change);
    if (change) {
      this.#file([change]);
      return;
    }
    this.#tellFiled(0);
    if (performance.now() - this.#savedAt > SAVE_MS) this.savePosition(false);
  }

  onBegin(): void {
    this.#mark = this.#ledger.mark;
  }

  async settleIn(client: PoolClient, settled: readonly Settled[]): Promise<string[] | null> {
    const { schema } = this.#options;
    const places = settled.map(({ task }) => task);
    const position = this.#ledger.positionWith(places, this.#mark);
    const save = { consumerId: this.consumerId, epoch: this.epoch, server: this.server, position };
    const saving = { isDurable: true, places: this.#places };
    const { xid } = await savePositions(client, schema, [save], saving);
    if (xid === null) return null;
    this.#saving = { position, xid };
    const changes = settled.flatMap(({ change }) => change ?? []);
    // Once committed they are due in the database, and its reply arrives later.
    for (const { notificationId } of changes) this.#options.working.add(notificationId);
    return changes.length === 0 ? [] : applyChanges(client, schema, this, lastOfEach(changes));
  }

  onCommitted(settled: readonly Settled[], waitingKeys: readonly string[]): void {
    const changes = settled.flatMap(({ change }) => change ?? []);
    for (const change of changes) this.#note(change);
    for (const { task, change } of settled) this.#isThrough(task, change);
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
      change.report?.();
      const { notificationId } = change;
      if (change.state === 'retry' && isUnderWay(change)) {
        this.recording.delete(notificationId);
        if (change.isUnderWay === 'counted') this.recorded.set(notificationId, change.attempts);
      } else {
        this.#options.working.delete(notificationId);
        this.recorded.delete(notificationId);
      }
      if (change.state === 'dead') this.#options.brake.savedDead();
      if (this.#newRetries.delete(change.notificationId)) this.#options.brake.savedRetry();
    }
    this.#tellFiled(changes.length);
  }

  #tellFiled(changeCount: number): void {
    const mayBeDue = changeCount > 0 || this.#hasLeft;
    this.#hasLeft = false;
    this.#options.life.check();
    if (mayBeDue) this.#options.onWaiting();
  }

  onFenced(unsaved: readonly DeliveryChange[] = []): void {
    this.#options.suspicions.loseChanges(this.consumerId, unsaved, this.recorded);
    this.#options.life.fence();
  }

  onFailed(): void {
    this.#options.life.end();
  }

  /**
   * Files notifications that were not called although later ones were, so the position can pass
   * them. Otherwise the next owner would call the later ones again.
   */
  fileGaps(): void {
    const { gaps } = this.#ledger;
    const changes = gaps
      .map(({ row }) => ({ id: safeId(row[0]), key: row[4] }))
      .filter(({ id }) => !this.#options.working.has(id))
      .map((gap) => unhandled(gap, this.isOrdered));
    for (const { source, index } of gaps) source.settle(index);
    if (changes.length > 0) this.#file(changes);
  }

  /**
   * @param isLazy true if the position only moved past notifications that the consumer does not
   *   want
   */
  savePosition(isLazy: boolean): void {
    const { settler } = this.#options;
    if (isLazy) {
      settler.settleLazily(this, this.#ledger.position);
    } else {
      this.#savedAt = performance.now();
      settler.settle(this, this.#ledger.position);
    }
  }

  #isThrough({ source, index, id, isReplay }: Place, change: DeliveryChange | null): void {
    const { working, brake, onHandled } = this.#options;
    if (!change || !isUnderWay(change)) {
      this.#hasLeft = working.leave(id) || this.#hasLeft;
      onHandled(isReplay);
      // The database counts them only now and then; new ones are counted here in between.
      if (source !== null && change?.state === 'retry') {
        this.#newRetries.add(id);
        brake.addRetry();
      }
    }
    source?.settle(index);
  }

  #file(changes: readonly DeliveryChange[]): void {
    for (const change of changes) {
      this.#note(change);
      // Until this is saved, the database may report it as due.
      this.#options.working.add(change.notificationId);
    }
    this.#savedAt = performance.now();
    this.#options.settler.settle(this, this.#ledger.position, changes);
  }

  #note(change: DeliveryChange): void {
    this.failing.note(change);
    this.failed.note(change);
    if (change.state === 'dead') this.#options.brake.addDead();
  }
}

/** How often the position is saved within a long page. */
const SAVE_MS = 500;
