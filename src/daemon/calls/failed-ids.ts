import { type DeliveryChange, isFailure } from '../../log/deliveries/delivery.ts';

/**
 * Which notifications have failed and have not succeeded since, for the result of a run with
 * --once. A tailing daemon does not need them and keeps none.
 */
export class FailedIds {
  readonly #ids: Set<number> | null;

  constructor(mode: 'tail' | 'once') {
    this.#ids = mode === 'once' ? new Set() : null;
  }

  get count(): number {
    return this.#ids?.size ?? 0;
  }

  note(change: DeliveryChange): void {
    if (change.state === 'done') this.#ids?.delete(change.notificationId);
    else if (isFailure(change)) this.#ids?.add(change.notificationId);
  }
}
