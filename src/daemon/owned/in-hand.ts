import { createdAt } from '../../log/notification.ts';
import type { Task } from '../calls/task.ts';
import type { OwnedConsumer } from './takeover.ts';

/**
 * What the owner before can have had in hand when it died: of what it had not settled the first
 * ones.
 */
export class InHand {
  /** So many may still be among what comes. */
  #count: number;
  /** What was published later cannot. */
  readonly #diedBefore: number;

  /** @param max how many an owner can have in hand */
  constructor({ isSuspect, diedBefore }: OwnedConsumer, max: number) {
    this.#count = isSuspect ? max : 0;
    this.#diedBefore = diedBefore?.getTime() ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Takes them from new tasks: up to the last one that was there when the consumer was taken over.
   * @param upTo how many are taken at least
   */
  take(tasks: Task[], isReplay: boolean, upTo: number): Task[] {
    if (!isReplay) this.#count = 0;
    const last = tasks.slice(0, this.#count).findLastIndex(({ row }) => {
      return createdAt(row) <= this.#diedBefore;
    });
    const taken = tasks.splice(0, Math.max(last + 1, upTo));
    this.#count = Math.max(0, this.#count - taken.length);
    return taken;
  }
}
