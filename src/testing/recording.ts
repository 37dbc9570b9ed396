import type { Around } from '../consumers/define.ts';
import { failureOf, type Outcome, outcomesOf } from '../consumers/outcome.ts';
import type { Notification } from '../log/notification.ts';

/** An attempt that failed. */
export type FailedAttempt = { notification: Notification; attempt: number; error: Error };

/** Records the outcome of each call of a consumer. */
export class Recording {
  readonly #handled = new Map<number, Notification>();
  /** By notification and attempt. */
  readonly #failed = new Map<string, FailedAttempt>();
  readonly #isBatch: boolean;
  readonly #within: Around;

  /**
   * @param isBatch whether the consumer has handleBatch
   * @param within surrounds the calls, too
   */
  constructor(isBatch: boolean, within: Around = (call) => call()) {
    this.#isBatch = isBatch;
    this.#within = within;
  }

  /** Surrounds the calls of the consumer. */
  readonly around: Around = async (call, scope) => {
    const { notifications } = scope;
    const count = notifications.length;
    const failed = (thrown: unknown) => new Array<Outcome>(count).fill(failureOf(thrown));
    let outcomes: readonly Outcome[] = [];
    const recorded = async () => {
      try {
        const result = await call();
        outcomes = outcomesOf(result, count, this.#isBatch);
        return result;
      } catch (thrown) {
        outcomes = failed(thrown);
        throw thrown;
      }
    };
    try {
      await this.#within(recorded, scope);
    } catch (thrown) {
      outcomes = failed(thrown);
      throw thrown;
    } finally {
      for (const [index, outcome] of outcomes.entries()) {
        this.#note(notifications[index] as Notification, outcome);
      }
    }
  };

  /** What was handled, in that order. */
  get handled(): Notification[] {
    return [...this.#handled.values()];
  }

  /** The attempts that failed, in order. */
  get failed(): FailedAttempt[] {
    return [...this.#failed.values()];
  }

  #note(notification: Notification, outcome: Outcome): void {
    const { id, attempt } = notification;
    const name = `${id} ${attempt}`;
    // A call that was undone because of another one is repeated, as the same attempt.
    this.#handled.delete(id);
    this.#failed.delete(name);
    if (outcome.type === 'done') this.#handled.set(id, notification);
    else if ('error' in outcome) {
      this.#failed.set(name, { notification, attempt, error: outcome.error });
    }
  }
}
