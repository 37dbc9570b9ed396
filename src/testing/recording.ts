import type { Around } from '../consumers/define.ts';
import type { hooksOf, NewDeadLetter } from '../consumers/hooks.ts';
import { failureOf, type Outcome, outcomesOf } from '../consumers/outcome.ts';
import type { Notification } from '../log/notification.ts';
import type { Drained, FailedAttempt } from './drained.ts';
import { plain } from './plain.ts';

/** Records the outcome of each call of a consumer, and its dead letters. Its hooks do that. */
export class Recording {
  readonly #handled = new Map<number, Notification>();
  /** By notification and attempt. */
  readonly #failed = new Map<string, FailedAttempt>();
  readonly #dead: Drained['dead'] = [];
  readonly #isBatch: boolean;
  readonly #hooks: ReturnType<typeof hooksOf>;

  /**
   * @param isBatch whether the consumer has handleBatch
   * @param hooks are called, too
   */
  constructor(isBatch: boolean, hooks: ReturnType<typeof hooksOf>) {
    this.#isBatch = isBatch;
    this.#hooks = hooks;
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
      const { around } = this.#hooks;
      await (around ? around(recorded, scope) : recorded());
    } catch (thrown) {
      outcomes = failed(thrown);
      throw thrown;
    } finally {
      for (const [index, outcome] of outcomes.entries()) {
        this.#note(notifications[index] as Notification, outcome);
      }
    }
  };

  readonly onDead = async (deadLetter: NewDeadLetter): Promise<void> => {
    const { notificationId: id, attempts, error, notification } = deadLetter;
    const copy = notification && plain(notification);
    this.#dead.push({ id, attempts, error: error.message, notification: copy });
    await this.#hooks.onDead?.(deadLetter);
  };

  get drained(): Drained {
    return {
      handled: [...this.#handled.values()],
      failed: [...this.#failed.values()],
      dead: this.#dead.toSorted((a, b) => a.id - b.id),
    };
  }

  #note(given: Notification, outcome: Outcome): void {
    const notification = plain(given);
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
