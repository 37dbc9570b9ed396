import { createdAt } from '../../log/notification.ts';
import type { Task } from '../calls/task.ts';
import type { OwnedConsumer } from './takeover.ts';

/**
 * The notifications that the previous owner can have been handling when it died: the first ones
 * that it had not settled.
 */
export class InHand {
  /** How many of them may still be to come. */
  #count: number;
  /** Notifications published later cannot be among them. */
  readonly #diedBefore: number;

  /** @param max how many an owner can be handling at once */
  constructor({ isSuspect, diedBefore }: OwnedConsumer, max: number) {
    this.#count = isSuspect ? max : 0;
    this.#diedBefore = diedBefore?.getTime() ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Takes them from new tasks: up to the last one published before the previous owner was dead.
   * @param upTo the minimum number to take
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
