import { SLOTS } from '../log/lease.ts';

/**
 * How many rows a process takes at a time of a consumer that it shares. Pages grow while handlers are
 * fast, and shrink while they are slow: a process that joins should find something to do before those
 * are through with what they have.
 */
export class PageSize {
  readonly #start: number;
  #rows: number;
  /** When the last page was taken; 0 where nothing was found then. */
  #takenAt = 0;

  constructor(start: number) {
    this.#start = start;
    this.#rows = start;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Something, or nothing, was taken at that time. */
  adapt(takenAt: number, hasTaken: boolean): void {
    const tookMs = takenAt - this.#takenAt;
    const factor = tookMs < FAST_MS ? 2 : tookMs > SLOW_MS ? 0.5 : 1;
    if (hasTaken && this.#takenAt > 0) {
      const rows = Math.round(this.#rows * factor);
      this.#rows = Math.min(4 * this.#start, Math.max(SLOTS, rows));
    }
    this.#takenAt = hasTaken ? takenAt : 0;
  }
}

/** What was taken is through so soon, or so late, that the next pages are larger, or smaller. */
const FAST_MS = 250;
const SLOW_MS = 1000;
