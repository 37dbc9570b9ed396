import { setImmediate } from 'node:timers/promises';
import type { Clients } from '../../database/pool.ts';
import { withTransaction } from '../../database/transaction.ts';
import { toError } from '../../errors.ts';
import { applyChanges } from '../../log/deliveries/apply-changes.ts';
import {
  type DeliveryChange,
  type DeliveryScope,
  lastOfEach,
} from '../../log/deliveries/delivery.ts';
import type { Position, Xid } from '../../log/positions/position.ts';
import type { Claim } from '../../log/positions/progress.ts';
import { type RowPlaces, savePositions } from '../../log/positions/save.ts';
import type { Reporter } from '../../reporter.ts';
import { publishTransition } from '../../transitions.ts';
import { Settling } from '../calls/settling.ts';

/** A consumer whose position and deliveries are settled, with callbacks for the outcome. */
export type SettlementOwner = Readonly<Claim & DeliveryScope> & {
  /** The position was saved by a transaction with this xid. */
  onSaved(position: Position, xid: Xid): void;
  /** These changes are saved. Of their keys, waitingKeys still have a notification waiting. */
  onFiled(changes: readonly DeliveryChange[], waitingKeys: readonly string[]): void;
  /**
   * These changes are not saved: another process owns the consumer, or the server is a different
   * one.
   */
  onFenced(unsaved: readonly DeliveryChange[]): void;
};

type Settlement = { position: Position; changes: readonly DeliveryChange[] };

/**
 * Settles what owned consumers have done. Positions without deliveries are saved in one statement
 * for all consumers, the newest of each; deliveries commit together with their consumer's position.
 */
export class Settler {
  readonly #pool: Clients;
  readonly #schema: string;
  readonly #settling: Settling;
  readonly #pending = new Map<SettlementOwner, Settlement>();
  readonly #places: RowPlaces = new Map();

  constructor(pool: Clients, schema: string, reporter: Reporter, isGivenUp = () => pool.isGivenUp) {
    this.#pool = pool;
    this.#schema = schema;
    this.#settling = new Settling({
      what: 'What was handled',
      reporter,
      hasPending: () => this.#pending.size > 0,
      isGivenUp,
      settle: () => this.#settlePending(),
    });
  }

  /**
   * Settles soon. Everything before the position must be handled, or have its delivery in these or
   * earlier changes.
   */
  settle(
    owner: SettlementOwner,
    position: Position,
    changes: readonly DeliveryChange[] = [],
  ): void {
    this.#add(owner, { position, changes });
    this.#settling.start();
  }

  /**
   * Settles within a second, for positions that only moved past notifications that the consumer
   * does not want.
   */
  settleLazily(owner: SettlementOwner, position: Position): void {
    this.#add(owner, { position, changes: [] });
    this.#settling.startWithin(LAZY_MS);
  }

  /** Waits until everything is settled, or settling has failed. */
  async flush(): Promise<void> {
    await this.#settling.flush();
  }

  /** Settles what can be settled, then stops. */
  async close(): Promise<void> {
    await this.#settling.close();
  }

  #add(owner: SettlementOwner, { position, changes }: Settlement): void {
    const earlier = this.#pending.get(owner)?.changes ?? [];
    this.#pending.set(owner, { position, changes: [...earlier, ...changes] });
  }

  async #settlePending(): Promise<Error | undefined> {
    // Consumers that were given the same page finish within the same turn of the event loop.
    await setImmediate();
    const batch = new Map(this.#pending);
    this.#pending.clear();
    return this.#settleBatch(batch);
  }

  #putBack(owner: SettlementOwner, { position, changes }: Settlement): void {
    const newer = this.#pending.get(owner);
    this.#pending.set(owner, {
      position: newer?.position ?? position,
      changes: [...changes, ...(newer?.changes ?? [])],
    });
  }

  /**
   * Settles each consumer on its own, so one that cannot be settled does not hold up the others.
   */
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
      savePositions(client, this.#schema, saves, { places: this.#places }),
    );
    for (const owner of owners) {
      if (savedIds.has(owner.consumerId) && xid !== null) owner.onSaved(positionOf(owner), xid);
      else owner.onFenced([]);
    }
    publishTransition({ type: 'position_saved', consumerIds: [...savedIds] });
  }

  /** Saves position and deliveries of one consumer in one transaction; nothing if it was fenced. */
  async #file(owner: SettlementOwner, { position, changes }: Settlement): Promise<void> {
    const last = lastOfEach(changes);
    const { consumerId, epoch, server } = owner;
    const filed = await this.#pool.withClient((client) =>
      withTransaction(client, async () => {
        const save = { consumerId, epoch, server, position };
        const options = { isDurable: true, places: this.#places };
        const { xid } = await savePositions(client, this.#schema, [save], options);
        if (xid === null) return null;
        return { xid, waitingKeys: await applyChanges(client, this.#schema, owner, last) };
      }),
    );
    if (filed === null) return owner.onFenced(last);
    owner.onSaved(position, filed.xid);
    owner.onFiled(changes, filed.waitingKeys);
    publishTransition({ type: 'position_saved', consumerIds: [consumerId] });
  }
}

const LAZY_MS = 1000;
