import type { OwnedDispatcher } from './dispatcher.ts';
import type { ConsumerRunner } from './runner.ts';

/**
 * A consumer that this process runs. `ended` resolves once its handlers have returned; aborting
 * `leave` has it released.
 */
export type Running = { runner: ConsumerRunner; ended: Promise<void>; leave: AbortController };

/**
 * The consumers that this process owns and still runs. It outlives the session: a slow handler
 * keeps its consumer here after the connection is lost.
 */
export class AtWork {
  readonly #running = new Map<string, Running>();

  get(consumerId: string): Running | undefined {
    return this.#running.get(consumerId);
  }

  get all(): Running[] {
    return [...this.#running.values()];
  }

  get dispatchers(): OwnedDispatcher[] {
    return this.all.map(({ runner }) => runner.dispatcher);
  }

  /**
   * Adds a consumer, and removes it when its work has returned.
   * @param work never rejects; its signal aborts when the consumer is to be released
   */
  start(runner: ConsumerRunner, work: (leave: AbortSignal) => Promise<void>): Running {
    const { consumerId } = runner.dispatcher;
    const leave = new AbortController();
    const ended = work(leave.signal).finally(() => this.#running.delete(consumerId));
    const running = { runner, ended, leave };
    this.#running.set(consumerId, running);
    return running;
  }

  async untilIdle(): Promise<void> {
    await Promise.all(this.all.map(({ ended }) => ended));
  }
}
