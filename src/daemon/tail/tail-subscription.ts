import { type ChannelTest, channelTest } from '../../log/channels.ts';
import type { Page } from '../../log/page.ts';
import type { Position } from '../../log/positions/position.ts';

/** How much a subscription may hold before its consumer counts as too slow for the tail. */
export type QueueLimit = { rows: number; bytes: number };

/**
 * A consumer's subscription to the tail: the pages read since it joined, in a bounded queue. A
 * consumer that falls behind loses the subscription, not notifications: it continues by reading
 * from its own position.
 */
export class TailSubscription {
  /** The tail's position when it joined: the pages begin there. */
  readonly joint: Position;
  readonly #isRead: ChannelTest;
  readonly #limit: QueueLimit;
  readonly #pages: Page[] = [];
  #rows = 0;
  #bytes = 0;
  #isOpen = true;
  #wake = () => {};

  /** @param channels the channels whose contents it needs */
  constructor(joint: Position, channels: readonly string[], limit: QueueLimit) {
    this.joint = joint;
    this.#isRead = channelTest(channels);
    this.#limit = limit;
  }

  /**
   * Adds a page. If the page does not fit, or lacks content that the consumer wants, the
   * subscription ends before it. Returns false once the subscription has ended.
   */
  push(page: Page): boolean {
    const { rows, bytes } = pageSize(page);
    const isFull = this.#rows + rows > this.#limit.rows || this.#bytes + bytes > this.#limit.bytes;
    if (this.#pages.length > 0 && isFull) this.end();
    if ([...page.leftOut].some(this.#isRead)) this.end();
    if (!this.#isOpen) return false;
    this.#pages.push(page);
    this.#rows += rows;
    this.#bytes += bytes;
    this.#wake();
    return true;
  }

  /** Ends the subscription. Queued pages can still be taken. */
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

/** An empty page counts as one row, because it takes up space in the queue too. */
function pageSize(page: Page): QueueLimit {
  return { rows: Math.max(page.rows.length, 1), bytes: page.bytes };
}
