import { setImmediate } from 'node:timers/promises';
import { isStatementError } from '../database/connect.ts';
import type { Pool } from '../database/pool.ts';
import { withTransaction } from '../database/transaction.ts';
import { toError } from '../errors.ts';
import { applyChanges, type DeliveryChange, type DeliveryScope } from '../log/delivery.ts';
import type { Position, Xid } from '../log/position.ts';
import { type Claim, savePositions } from '../log/progress.ts';
import type { Reporter } from '../reporter.ts';
import { backoffMs, sleep } from '../time.ts';
import { publishTransition } from '../transitions.ts';

/** Whose position and deliveries are settled, and what it is told. */
export type SettlementOwner = Readonly<Claim & DeliveryScope> & {
  /** The position is saved, by a transaction with this xid. */
  onSaved(position: Position, xid: Xid): void;
  /** These changes are saved; of their keys, those given still have a notification waiting. */
  onFiled(changes: readonly DeliveryChange[], waitingKeys: readonly string[]): void;
  /** Another process owns the consumer by now, or the server is another. */
  onFenced(): void;
};

type Settlement = { position: Position; changes: readonly DeliveryChange[] };

/**
 * Settles behind the handlers' backs. Positions alone are saved together, the newest of each
 * consumer in one statement for all; deliveries commit together with their consumer's position.
 * While one settlement is under way the next ones gather.
 */
export class Settler {
  readonly #pool: Pool;
  readonly #schema: string;
  readonly #reporter: Reporter;
  readonly #pending = new Map<SettlementOwner, Settlement>();
  #settling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(pool: Pool, schema: string, reporter: Reporter) {
    this.#pool = pool;
    this.#schema = schema;
    this.#reporter = reporter;
  }

  /**
   * Settles soon: everything before the position is handled, or has its delivery in the changes, now
   * or earlier.
   */
  settle(
    owner: SettlementOwner,
    position: Position,
    changes: readonly DeliveryChange[] = [],
  ): void {
    this.#add(owner, { position, changes });
    this.#start();
  }

  /**
   * Settles within a second: for positions that only moved past what the consumer does not want.
   */
  settleLazily(owner: SettlementOwner, position: Position): void {
    this.#add(owner, { position, changes: [] });
    this.#timer ??= setTimeout(() => this.#start(), LAZY_MS);
  }

  /** Waits until everything is settled, or has failed to be. */
  async flush(): Promise<void> {
    this.#start();
    await this.#settling;
  }

  /** Settles what can be settled, and then no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
    clearTimeout(this.#timer);
  }

  #add(owner: SettlementOwner, { position, changes }: Settlement): void {
    const earlier = this.#pending.get(owner)?.changes ?? [];
    this.#pending.set(owner, { position, changes: [...earlier, ...changes] });
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.size > 0) this.#settling ??= this.#run();
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#pending.size > 0 && failures < FAILURES_MAX; ) {
      // The consumers that a page was handed to finish within the same turn of the event loop.
      await setImmediate();
      const batch = new Map(this.#pending);
      this.#pending.clear();
      const failure = await this.#settleBatch(batch);
      failures = failure ? failures + 1 : 0;
      if (failure) await this.#wait(failure, failures);
    }
    this.#settling = undefined;
    // If it never can be saved, whoever takes over hands it out again: at least once, never not at
    // all.
    if (this.#pending.size > 0 && !this.#isClosed) {
      this.#timer ??= setTimeout(() => this.#start(), AGAIN_MS);
    }
  }

  #putBack(owner: SettlementOwner, { position, changes }: Settlement): void {
    const newer = this.#pending.get(owner);
    this.#pending.set(owner, {
      position: newer?.position ?? position,
      changes: [...changes, ...(newer?.changes ?? [])],
    });
  }

  /** Waits before the next attempt, and says so where it is not a matter of waiting. */
  async #wait(failure: Error, failures: number): Promise<void> {
    const text = `What was handled is not settled yet: ${failure.message}`;
    if (isStatementError(failure) && failures === FAILURES_MAX) this.#reporter.warn(text);
    else this.#reporter.debug(text);
    await sleep(backoffMs(failures, { baseMs: 50, capMs: 500 }), NEVER);
  }

  /** Settles each for itself, so that one that cannot be settled holds no other. */
  async #settleBatch(batch: Map<SettlementOwner, Settlement>): Promise<Error | undefined> {
    let failure: Error | undefined;
    const tryTo = async (settling: Promise<void>, owners: readonly SettlementOwner[]) => {
      await settling.catch((thrown: unknown) => {
        failure = toError(thrown);
        for (const owner of owners) this.#putBack(owner, batch.get(owner) as Settlement);
      });
    };
    const owners = [...batch.keys()];
    const isFiling = (owner: SettlementOwner) => (batch.get(owner)?.changes.length ?? 0) > 0;
    for (const owner of owners.filter(isFiling)) {
      await tryTo(this.#file(owner, batch.get(owner) as Settlement), [owner]);
    }
    const moving = owners.filter((owner) => !isFiling(owner));
    if (moving.length > 0) await tryTo(this.#savePositions(moving, batch), moving);
    return failure;
  }

  async #savePositions(
    owners: readonly SettlementOwner[],
    batch: ReadonlyMap<SettlementOwner, Settlement>,
  ): Promise<void> {
    const positionOf = (owner: SettlementOwner) => (batch.get(owner) as Settlement).position;
    const saves = owners.map((owner) => {
      const { consumerId, epoch, server } = owner;
      return { consumerId, epoch, server, position: positionOf(owner) };
    });
    const { savedIds, xid } = await this.#pool.withClient((client) =>
      savePositions(client, this.#schema, saves),
    );
    for (const owner of owners) {
      if (savedIds.has(owner.consumerId) && xid !== null) owner.onSaved(positionOf(owner), xid);
      else owner.onFenced();
    }
    publishTransition({ type: 'position_saved', consumerIds: [...savedIds] });
  }

  /** Position and deliveries of one consumer, in one transaction; nothing for a past owner. */
  async #file(owner: SettlementOwner, { position, changes }: Settlement): Promise<void> {
    const last = lastOfEach(changes);
    const { consumerId, epoch, server } = owner;
    const filed = await this.#pool.withClient((client) =>
      withTransaction(client, async () => {
        const save = { consumerId, epoch, server, position };
        const { xid } = await savePositions(client, this.#schema, [save], { isDurable: true });
        if (xid === null) return null;
        return { xid, waitingKeys: await applyChanges(client, this.#schema, owner, last) };
      }),
    );
    if (filed === null) return owner.onFenced();
    owner.onSaved(position, filed.xid);
    owner.onFiled(changes, filed.waitingKeys);
    publishTransition({ type: 'position_saved', consumerIds: [consumerId] });
  }
}

/** Of several changes of one notification the last holds. */
export function lastOfEach(changes: readonly DeliveryChange[]): DeliveryChange[] {
  return [...new Map(changes.map((change) => [change.notificationId, change])).values()];
}

const LAZY_MS = 1000;
const AGAIN_MS = 2000;
const FAILURES_MAX = 5;
const NEVER = new AbortController().signal;
