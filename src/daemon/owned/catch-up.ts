import type { Page } from '../../log/page.ts';
import { reachedId } from '../../log/positions/position.ts';
import { publishTransition } from '../../transitions.ts';

/** How far a consumer has caught up, for display. */
export type CatchUpProgress = { count: number; fromId: number; reachedId: number; endId: number };

/** Shows the operator how consumers catch up. */
export type CatchUpDisplay = {
  begin(consumerId: string, catchUp: CatchUp): void;
  finish(consumerId: string, count: number): void;
};

/**
 * Tracks how a consumer catches up on the notifications committed before it was taken over. Reading
 * them ends before handling them does; it has caught up once all of them are handled.
 */
export class CatchUp {
  readonly #consumerId: string;
  readonly #display: CatchUpDisplay;
  #isReading = true;
  #openPages = 0;
  #progress: CatchUpProgress | undefined;

  constructor(consumerId: string, display: CatchUpDisplay) {
    this.#consumerId = consumerId;
    this.#display = display;
  }

  /** True while it reads the notifications committed before the takeover. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Undefined if the consumer is not catching up. */
  get progress(): CatchUpProgress | undefined {
    return this.#progress;
  }

  /**
   * Call it when a page is about to be handled; it returns a function to call once the page is
   * done.
   */
  open(page: Page): () => void {
    if (!this.#progress && page.rows.length > 0) {
      publishTransition({ type: 'catching_up', consumerId: this.#consumerId });
      this.#display.begin(this.#consumerId, this);
      const fromId = reachedId(page.before);
      this.#progress = { count: 0, fromId, reachedId: fromId, endId: page.window.endId };
    }
    if (this.#progress) this.#progress.endId = Math.max(page.window.endId, this.#progress.endId);
    this.#openPages += 1;
    return () => {
      this.#openPages -= 1;
      if (this.#progress) this.#progress.reachedId = reachedId(page.after);
      this.#finish();
    };
  }

  /** Counts a handled notification. */
  count(isReplay: boolean): void {
    if (isReplay && this.#progress) this.#progress.count += 1;
  }

  endReading(): void {
    this.#isReading = false;
    this.#finish();
  }

  /** The consumer has ended here, whether it has caught up or not. */
  end(): void {
    this.#progress = undefined;
  }

  #finish(): void {
    if (this.#isReading || this.#openPages > 0) return;
    const count = this.#progress?.count ?? 0;
    this.#progress = undefined;
    publishTransition({ type: 'caught_up', consumerId: this.#consumerId, count });
    this.#display.finish(this.#consumerId, count);
  }
}
