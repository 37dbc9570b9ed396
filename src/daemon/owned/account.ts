import type { PoolClient } from 'pg';
import { applyChanges } from '../../log/deliveries/apply-changes.ts';
import { type DeliveryChange, isUnderWay, lastOfEach } from '../../log/deliveries/delivery.ts';
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
  /** Told of each notification that is through. */
  onHandled(isReplay: boolean): void;
  onSaved(position: Position, xid: Xid): void;
  /** Told when something may be due sooner than was known. */
  onWaiting(): void;
};

/**
 * Keeps the account of a consumer that this process owns, and has it settled: the position behind
 * all that is done or has a delivery, and the deliveries.
 */
export class OwnedAccount implements Account, SettlementOwner {
  readonly consumerId: string;
  readonly epoch: number;
  readonly server: string;
  readonly isOrdered: boolean;
  readonly failing: FailingKeys;
  readonly failed: FailedIds;
  /** What is about to be called, once that is saved. */
  readonly recording = new Set<number>();
  /** Attempts that are recorded, of calls whose outcome is not saved; by notification. */
  readonly recorded = new Map<number, number>();
  readonly #options: OwnedAccountOptions;
  readonly #ledger: Ledger;
  readonly #places: RowPlaces = new Map();
  /** Those that the brake has counted, until they are saved. */
  readonly #newRetries = new Set<number>();
  #mark: LedgerMark;
  /** What the transaction under way saves. */
  #saving: { position: Position; xid: Xid } | undefined;
  /** True where one that was worked on is so no longer, and nobody was told. */
  #hasLeft = false;
  #savedAt = performance.now();

  /** @param failingKeys of which a notification waits at the beginning */
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

  /** How many rows lie in pages that are not settled to their end. */
  get openRows(): number {
    return this.#ledger.openRows;
  }

  /** Takes a page up. */
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
    // From the commit on the database says that they are due, and its reply comes later.
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
    // It may have passed some of what is held until then.
    if (this.#options.working.isHolding) this.#tellFiled(1);
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
   * What was not called any more, though others behind it were, becomes due, so that the position
   * need not stay before it: whoever is next would call those others again.
   */
  fileGaps(): void {
    const { gaps } = this.#ledger;
    const changes = gaps.flatMap(({ row }): DeliveryChange[] => {
      const about = { notificationId: safeId(row[0]), key: row[4] };
      if (this.#options.working.has(about.notificationId)) return [];
      if (this.isOrdered && about.key !== null) return [{ ...about, state: 'blocked' }];
      return [{ ...about, state: 'retry', attempts: 0, delayMs: 0, error: null }];
    });
    for (const { source, index } of gaps) source.settle(index);
    if (changes.length > 0) this.#file(changes);
  }

  /** @param isLazy for a position that only moved past what the consumer does not want */
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
      // Between two counts in the database, those that come to it are counted here.
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
      // Until it is saved, the database says that it is due.
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

/** While a long page is worked, its position is saved so often. */
const SAVE_MS = 500;
