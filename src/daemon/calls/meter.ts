import { errorRecord } from '../../log/deliveries/error-record.ts';
import type {
  ActivityError,
  ConsumerActivity,
  ConsumerState,
} from '../../log/positions/activity.ts';

/**
 * Counts what a consumer does in this process, over all its sessions, for status displays. A
 * notification costs one addition.
 */
export class Meter {
  #handled = 0;
  #lastError: ActivityError | null = null;
  /** Undefined while this process does not run it. */
  #readState: (() => ConsumerState | null) | undefined;
  /** How much had been handled at recent times. */
  #samples: { at: number; handled: number }[] = [];

  /** Adds settled notifications. */
  count(settled = 1): void {
    this.#handled += settled;
  }

  noteFailure(notificationId: number, error: Error): void {
    const { name, message } = errorRecord(error);
    const at = new Date().toISOString();
    // The server rejects JSON with half a surrogate pair.
    const start = message.slice(0, MESSAGE_MAX).toWellFormed();
    this.#lastError = { name, message: start, notificationId, at };
  }

  /**
   * Runs the work of a runner. Meanwhile its state can be read: null while it waits for another
   * process.
   */
  async during<T>(readState: () => ConsumerState | null, work: () => Promise<T>): Promise<T> {
    this.#readState = readState;
    this.#samples = [{ at: performance.now(), handled: this.#handled }];
    return work().finally(() => {
      this.#readState = undefined;
    });
  }

  /** What the consumer does now; null if it is not running. */
  get state(): ConsumerState | null {
    return this.#readState?.() ?? null;
  }

  /** The state with counts, and the rate over the last seconds. */
  read(now = performance.now()): ConsumerActivity | null {
    const { state } = this;
    if (state === null) return null;
    this.#samples.push({ at: now, handled: this.#handled });
    // Keep one sample older than the span, so that the samples cover all of it.
    while ((this.#samples[1]?.at ?? now) < now - RATE_MS) this.#samples.shift();
    const { at, handled } = this.#samples[0] as { at: number; handled: number };
    const rate = ((this.#handled - handled) / (now - at)) * 1000;
    return {
      state,
      // Over a shorter time the rate would be anything from zero to far too high.
      rate: now - at < RATE_MS_MIN ? null : Math.round(rate * 10) / 10,
      handled: this.#handled,
      lastError: this.#lastError,
    };
  }
}

const RATE_MS = 10_000;
const RATE_MS_MIN = 2000;
const MESSAGE_MAX = 500;
