import type { Page } from '../../log/page.ts';
import { reachedId } from '../../log/positions/position.ts';
import { publishTransition } from '../../transitions.ts';

/** How far a consumer has caught up, for people who watch. */
export type CatchUpProgress = { count: number; fromId: number; reachedId: number; endId: number };

/**
 * Counts how a consumer catches up: the notifications that were committed before it was taken over.
 * They are read before they are handled, and it has caught up once all of them are handled.
 */
export class CatchUp {
  readonly #consumerId: string;
  #isReading = true;
  #openPages = 0;
  #progress: CatchUpProgress | undefined;

  constructor(consumerId: string) {
    this.#consumerId = consumerId;
  }

  /** True while it reads what was committed before. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Undefined if it is not catching up. */
  get progress(): CatchUpProgress | undefined {
    return this.#progress;
  }

  /** A page is about to be handled. Returns what is to be called once it is. */
  open(page: Page): () => void {
    if (!this.#progress && page.rows.length > 0) {
      publishTransition({ type: 'catching_up', consumerId: this.#consumerId });
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

  /** A notification is handled. */
  count(isReplay: boolean): void {
    if (isReplay && this.#progress) this.#progress.count += 1;
  }

  endReading(): void {
    this.#isReading = false;
    this.#finish();
  }

  #finish(): void {
    if (this.#isReading || this.#openPages > 0) return;
    const count = this.#progress?.count ?? 0;
    this.#progress = undefined;
    publishTransition({ type: 'caught_up', consumerId: this.#consumerId, count });
  }
}
