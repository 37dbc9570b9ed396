import type { Page } from '../../log/page.ts';
import type { Position } from '../../log/positions/position.ts';

/** What a subscription may hold before its consumer counts as too slow for the tail. */
export type QueueLimit = { rows: number; bytes: number };

/**
 * A consumer's share of the tail: the pages read since it joined, in a bounded queue. A consumer
 * that falls behind loses the subscription, not notifications: it reads on by itself from its
 * position.
 */
export class Subscription {
  /** The tail's position at which it joined: the pages begin there. */
  readonly joint: Position;
  readonly #channels: readonly string[];
  readonly #limit: QueueLimit;
  readonly #pages: Page[] = [];
  #rows = 0;
  #bytes = 0;
  #isOpen = true;
  #wake = () => {};

  /** @param channels of which it needs the contents */
  constructor(joint: Position, channels: readonly string[], limit: QueueLimit) {
    this.joint = joint;
    this.#channels = channels;
    this.#limit = limit;
  }

  /**
   * Adds a page; where it does not fit, or lacks what its consumer wants, ends the subscription
   * before it. False once it has ended.
   */
  push(page: Page): boolean {
    const { rows, bytes } = pageSize(page);
    const isFull = this.#rows + rows > this.#limit.rows || this.#bytes + bytes > this.#limit.bytes;
    if (this.#pages.length > 0 && isFull) this.end();
    if (this.#channels.some((channel) => page.leftOut.has(channel))) this.end();
    if (!this.#isOpen) return false;
    this.#pages.push(page);
    this.#rows += rows;
    this.#bytes += bytes;
    this.#wake();
    return true;
  }

  /** No more pages will come. What is queued can still be taken. */
  end(): void {
    this.#isOpen = false;
    this.#wake();
  }

  /** The next page; undefined once the subscription has ended and is empty. */
  async take(): Promise<Page | undefined> {
    while (this.#pages.length === 0 && this.#isOpen) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const page = this.#pages.shift();
    if (page) {
      const { rows, bytes } = pageSize(page);
      this.#rows -= rows;
      this.#bytes -= bytes;
    }
    return page;
  }
}

/** An empty page counts as a row: it takes its place in the queue too. */
function pageSize(page: Page): QueueLimit {
  return { rows: Math.max(page.rows.length, 1), bytes: page.bytes };
}
