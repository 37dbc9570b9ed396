import type { DueDelivery } from '../../log/deliveries/due.ts';

/**
 * What is being called though it has a delivery, and what is not saved yet: the database may say
 * that it is due, and it is not.
 */
export class Working {
  readonly #ids = new Set<number>();
  /**
   * Deliveries ahead of the position: earlier notifications of their keys may yet be read from the
   * log again.
   */
  #ahead: readonly number[] = [];
  /** What has left since the last look at what is due: that look may have seen it. */
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

  /** It is saved. */
  delete(id: number): void {
    this.#ids.delete(id);
  }

  /**
   * Its call is over, or was not made. Returns true where it was worked on: it may be due again.
   */
  leave(id: number): boolean {
    const isLeaving = this.#ids.delete(id);
    if (isLeaving) this.#left.add(id);
    return isLeaving;
  }

  /** True while deliveries are held until the position has passed them. */
  get isHolding(): boolean {
    return this.#ahead.length > 0;
  }

  /** From now on these are not due, whatever the database says; those held before are. */
  hold(ids: readonly number[]): void {
    this.#ahead = ids;
  }

  /** A look at what is due begins. Returns what is not to be seen as due. */
  look(): readonly number[] {
    this.#left.clear();
    return [...this.#ids, ...this.#ahead];
  }

  /**
   * The look may have come to the server late: what was worked on since is not due any longer, nor
   * what stands behind it. Another look has to follow.
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
