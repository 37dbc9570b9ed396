import type { Page } from '../../log/page.ts';
import { reachedId } from '../../log/positions/position.ts';
import { publishTransition } from '../../transitions.ts';

/** How far a replay got, for those who watch. */
export type ReplayProgress = { count: number; fromId: number; reachedId: number; endId: number };

/**
 * Counts a consumer's replay: what was committed before it was taken over. It is read before it is
 * handled, and over once all of it is.
 */
export class ReplayCount {
  readonly #consumerId: string;
  #isReading = true;
  #openPages = 0;
  #progress: ReplayProgress | undefined;

  constructor(consumerId: string) {
    this.#consumerId = consumerId;
  }

  /** True while what is read is a replay. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Undefined where nothing is being replayed. */
  get progress(): ReplayProgress | undefined {
    return this.#progress;
  }

  /** A page is about to be handled. Returns what is to be called once it is. */
  open(page: Page): () => void {
    if (!this.#progress && page.rows.length > 0) {
      publishTransition({ type: 'replay_started', consumerId: this.#consumerId });
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
    publishTransition({ type: 'replay_finished', consumerId: this.#consumerId, count });
  }
}
