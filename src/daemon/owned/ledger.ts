import { type LogRow, safeId } from '../../log/notification.ts';
import { type Page, positionAt } from '../../log/page.ts';
import { learnXid, type Position, type Xid } from '../../log/positions/position.ts';
import type { Place, TaskSource } from '../calls/task.ts';

/**
 * Tracks which rows of the pages are settled while notifications are handled concurrently. The
 * position moves only past rows settled without a gap: the slowest notification holds it back.
 */
export class Ledger {
  readonly #entries: LedgerPage[] = [];
  #position: Position;
  #openRows = 0;

  constructor(position: Position) {
    this.#position = position;
  }

  /** The position up to which everything is settled. */
  get position(): Position {
    return this.#entries[0]?.reached ?? this.#position;
  }

  /** What has been read so far: a transaction that begins now may move the position within it. */
  get mark(): LedgerMark {
    return { position: this.#position, entries: [...this.#entries] };
  }

  /**
   * The position once these tasks are settled too.
   * @param mark what was read before the transaction had an id. That id becomes the bound of the
   *   search for late commits, and must be newer than every snapshot in the position.
   */
  positionWith(tasks: readonly Place[], mark: LedgerMark): Position {
    let { position } = mark;
    for (const entry of mark.entries) {
      const indexes = tasks.filter(({ source }) => source === entry).map(({ index }) => index);
      const next = entry.nextWith(new Set(indexes));
      if (next > 0) position = entry.positionAt(next - 1);
      if (next < entry.page.rows.length) break;
    }
    return position;
  }

  /** Unsettled rows before a settled one: they alone hold the position back. */
  get gaps(): { source: LedgerPage; index: number; row: LogRow }[] {
    const last = this.#entries.findLastIndex(({ settledTo }) => settledTo > 0);
    return this.#entries.slice(0, last + 1).flatMap((source, place) => {
      const { page, settledTo } = source;
      const rows = page.rows.slice(0, place < last ? page.rows.length : settledTo);
      return rows
        .map((row, index) => ({ source, index, row }))
        .filter(({ index }) => !source.isSettled(index));
    });
  }

  /** The number of rows in pages that are not completely settled. */
  get openRows(): number {
    return this.#openRows;
  }

  /** True once all pages before it are closed. */
  isNext(page: LedgerPage): boolean {
    return this.#entries[0] === page || page.isClosed;
  }

  /** Appends a page. */
  open(page: Page, onClosed: () => void = () => {}): LedgerPage {
    const entry = new LedgerPage(page, onClosed, () => this.#advance());
    this.#entries.push(entry);
    this.#openRows += page.rows.length;
    if (page.rows.length === 0) this.#advance();
    return entry;
  }

  learn(saved: Position, xid: Xid): void {
    this.#position = learnXid(this.#position, saved, xid);
  }

  #advance(): void {
    for (let entry = this.#entries[0]; entry?.isClosed; entry = this.#entries[0]) {
      this.#position = entry.page.after;
      this.#openRows -= entry.page.rows.length;
      this.#entries.shift();
      entry.onClosed();
    }
  }
}

export type LedgerMark = Readonly<{ position: Position; entries: readonly LedgerPage[] }>;

/** A page of the ledger. */
export class LedgerPage implements TaskSource {
  readonly page: Page;
  readonly onClosed: () => void;
  readonly #onFull: () => void;
  readonly #isSettled: Uint8Array;
  #next = 0;

  constructor(page: Page, onClosed: () => void, onFull: () => void) {
    this.page = page;
    this.onClosed = onClosed;
    this.#onFull = onFull;
    this.#isSettled = new Uint8Array(page.rows.length);
  }

  /** True once all its rows are settled. */
  get isClosed(): boolean {
    return this.#next === this.page.rows.length;
  }

  /** The position after all rows settled without a gap; undefined if there are none. */
  get reached(): Position | undefined {
    return this.#next === 0 ? undefined : this.positionAt(this.#next - 1);
  }

  /** The index after the last settled row. */
  get settledTo(): number {
    return this.#isSettled.lastIndexOf(1) + 1;
  }

  isSettled(index: number): boolean {
    return this.#isSettled[index] === 1;
  }

  /** The first row that is neither settled nor among these. */
  nextWith(indexes: ReadonlySet<number>): number {
    let next = this.#next;
    while (this.#isSettled[next] || indexes.has(next)) next += 1;
    return next;
  }

  /** Marks a row as done, or as having a delivery. */
  settle(index: number): void {
    this.#isSettled[index] = 1;
    if (index !== this.#next) return;
    while (this.#isSettled[this.#next]) this.#next += 1;
    if (this.isClosed) this.#onFull();
  }

  /** The position once everything up to this row is settled. */
  positionAt(index: number): Position {
    if (index === this.page.rows.length - 1) return this.page.after;
    return positionAt(this.page, safeId((this.page.rows[index] as LogRow)[0]));
  }
}
