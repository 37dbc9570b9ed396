import { toError } from '../../errors.ts';
import { Waiters } from '../../waiting.ts';

/**
 * How far a dispatcher has come: open; ended, when nothing more can be delivered; closed, when
 * nothing is started any more. Whoever waits for something is told by check().
 */
export class Life {
  readonly #ended = new AbortController();
  readonly #waiters = new Waiters();
  #isClosed = false;
  #isFenced = false;
  #failure: Error | undefined;

  /** Aborts when nothing more can be delivered: it is another process's, or working has failed. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** True once nothing is started any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True once what it worked on is another process's. */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  /** Something has changed: whoever waits looks again. */
  check(): void {
    this.#waiters.check();
  }

  /** Resolves once the condition holds, or it is closed. */
  async until(isMet: () => boolean): Promise<void> {
    await this.#waiters.until(() => this.#isClosed || isMet());
  }

  close(): void {
    this.#isClosed = true;
    this.check();
  }

  /** Nothing more is to be delivered. */
  end(): void {
    this.#ended.abort();
  }

  /** What it works on is another process's by now. */
  fence(): void {
    this.#isFenced = true;
    this.end();
  }

  /** Working has failed for good. */
  fail(thrown: unknown): void {
    this.#failure ??= toError(thrown);
    this.end();
  }

  /** @throws what it has failed by */
  throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }
}
