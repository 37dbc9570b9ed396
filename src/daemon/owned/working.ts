import type { DueDelivery } from '../../log/deliveries/due.ts';

/**
 * Notifications that are being called although they have a delivery, and outcomes that are not
 * saved yet: the database may report them as due although they are not.
 */
export class Working {
  readonly #ids = new Set<number>();
  /**
   * Deliveries ahead of the position: earlier notifications of their keys may still be read from
   * the log again.
   */
  #ahead: readonly number[] = [];
  /** Ids that have left since the last query for what is due, which may have seen them. */
  readonly #left = new Set<number>();

  get size(): number {
    return this.#ids.size;
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  add(id: number): void {
    this.#ids.add(id);
  }

  /** Its outcome is saved. */
  delete(id: number): void {
    this.#ids.delete(id);
  }

  /** Its call is over, or was not made. Returns true if it was in the set: it may be due again. */
  leave(id: number): boolean {
    const isLeaving = this.#ids.delete(id);
    if (isLeaving) this.#left.add(id);
    return isLeaving;
  }

  /** True while deliveries are held until the position has passed them. */
  get isHolding(): boolean {
    return this.#ahead.length > 0;
  }

  /** From now on these are not due, whatever the database says; those held before may be. */
  hold(ids: readonly number[]): void {
    this.#ahead = ids;
  }

  /** Call it when a query for what is due begins. Returns the ids that it must not report. */
  look(): readonly number[] {
    this.#left.clear();
    return [...this.#ids, ...this.#ahead];
  }

  /**
   * The query may have reached the server late: notifications called since are no longer due, nor
   * are those after them in their keys. Another query has to follow.
   */
  withoutStale(found: readonly DueDelivery[], isOrdered: boolean): DueDelivery[] {
    const isStale = (id: number) => this.#ids.has(id) || this.#left.has(id);
    const stale = found.filter(({ notificationId }) => isStale(notificationId));
    const keys = new Set(isOrdered ? stale.map(({ key }) => key) : []);
    return found.filter(({ notificationId, key }) => {
      return !isStale(notificationId) && (key === null || !keys.has(key));
    });
  }
}
