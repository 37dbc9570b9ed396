import { toError } from '../../errors.ts';
import { Waiters } from '../../waiting.ts';

/**
 * The state of a dispatcher: open; ended, when nothing more can be delivered; closed, when no more
 * calls are started. check() wakes those that wait for a condition.
 */
export class Life {
  readonly #ended = new AbortController();
  readonly #waiters = new Waiters();
  #isClosed = false;
  #isFenced = false;
  #failure: Error | undefined;

  /**
   * Aborts when nothing more can be delivered: another process has taken over, or working has
   * failed.
   */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** True once no more calls are started. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True once its consumer or lease belongs to another process. */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  /** Something has changed: conditions are evaluated again. */
  check(): void {
    this.#waiters.check();
  }

  /** Resolves once the condition is true, or it is closed. */
  async until(isMet: () => boolean): Promise<void> {
    await this.#waiters.until(() => this.#isClosed || isMet());
  }

  close(): void {
    this.#isClosed = true;
    this.check();
  }

  /** Nothing more can be delivered. */
  end(): void {
    this.#ended.abort();
  }

  /** Its consumer or lease belongs to another process by now. */
  fence(): void {
    this.#isFenced = true;
    this.end();
  }

  /** Working has failed for good. */
  fail(thrown: unknown): void {
    this.#failure ??= toError(thrown);
    this.end();
  }

  /** @throws the failure, if there was one */
  throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }
}
