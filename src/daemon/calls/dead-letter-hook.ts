import type { Hooks, NewDeadLetter } from '../../consumers/hooks.ts';
import { textOf, toError } from '../../errors.ts';
import type { Reporter } from '../../reporter.ts';

type OnDead = NonNullable<Hooks['onDead']>;

/** Tells the program about new dead letters. Nothing waits for it, except the end of the daemon. */
export class DeadLetterHook {
  readonly #onDead: OnDead | null;
  readonly #reporter: Reporter;
  readonly #running = new Set<Promise<void>>();

  constructor(onDead: OnDead | null, reporter: Reporter) {
    this.#onDead = onDead;
    this.#reporter = reporter;
  }

  /** @param make makes the dead letter; called only if somebody wants it */
  tell(make: () => NewDeadLetter): void {
    if (!this.#onDead) return;
    const running = this.#call(this.#onDead, make());
    this.#running.add(running);
    running.then(() => this.#running.delete(running));
  }

  /** Resolves once nothing of it is running, or when the signal aborts. */
  async untilIdle(signal: AbortSignal): Promise<void> {
    if (this.#running.size === 0 || signal.aborted) return;
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => aborted.resolve(), { once: true });
    await Promise.race([Promise.all(this.#running), aborted.promise]);
  }

  async #call(onDead: OnDead, deadLetter: NewDeadLetter): Promise<void> {
    try {
      await onDead(deadLetter);
    } catch (thrown) {
      const { notificationId, consumerId } = deadLetter;
      this.#reporter.warn(
        `onDead() failed for notification ${notificationId} of ${consumerId}: ` +
          `${textOf(() => toError(thrown).message)}.`,
        { consumer: consumerId, notification: notificationId },
      );
    }
  }
}
