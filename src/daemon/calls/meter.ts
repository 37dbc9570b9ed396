import { errorRecord } from '../../log/deliveries/error-record.ts';
import type {
  ActivityError,
  ConsumerActivity,
  ConsumerState,
} from '../../log/positions/activity.ts';

/**
 * Counts what a consumer does in this process, in all its sessions, for those who look. A
 * notification costs one addition.
 */
export class Meter {
  #handled = 0;
  #lastError: ActivityError | null = null;
  /** Undefined while this process does not run it. */
  #readState: (() => ConsumerState | null) | undefined;
  /** How much was handled when, from a while ago until now. */
  #samples: { at: number; handled: number }[] = [];

  /** So many more are settled. */
  count(settled = 1): void {
    this.#handled += settled;
  }

  noteFailure(notificationId: number, error: Error): void {
    const { name, message } = errorRecord(error);
    const at = new Date().toISOString();
    // Half a character would be no JSON for the server.
    const start = message.slice(0, MESSAGE_MAX).toWellFormed();
    this.#lastError = { name, message: start, notificationId, at };
  }

  /**
   * Runs the work of a runner, whose state is read when somebody asks meanwhile: null where it
   * waits for another process.
   */
  async during<T>(readState: () => ConsumerState | null, work: () => Promise<T>): Promise<T> {
    this.#readState = readState;
    this.#samples = [{ at: performance.now(), handled: this.#handled }];
    return work().finally(() => {
      this.#readState = undefined;
    });
  }

  /** What it does now; null where it is not run. */
  get state(): ConsumerState | null {
    return this.#readState?.() ?? null;
  }

  /** The same, with the rate since it was asked some seconds ago. */
  read(now = performance.now()): ConsumerActivity | null {
    const { state } = this;
    if (state === null) return null;
    this.#samples.push({ at: now, handled: this.#handled });
    // One stays that is older than the span, so that all of it is covered.
    while ((this.#samples[1]?.at ?? now) < now - RATE_MS) this.#samples.shift();
    const { at, handled } = this.#samples[0] as { at: number; handled: number };
    const rate = ((this.#handled - handled) / (now - at)) * 1000;
    return {
      state,
      // What a moment shows would be anything between nothing and far too much.
      rate: now - at < RATE_MS_MIN ? null : Math.round(rate * 10) / 10,
      handled: this.#handled,
      lastError: this.#lastError,
    };
  }
}

const RATE_MS = 10_000;
const RATE_MS_MIN = 2000;
const MESSAGE_MAX = 500;
