import { SLOTS } from '../../log/leases/lease.ts';

/**
 * How many rows a process takes at a time of a consumer that it shares. Pages grow while handlers
 * are fast, and shrink while they are slow: a process that joins should find something to do before
 * those are through with what they have. How long taking lasts does not count: smaller pages would
 * mean more takes, which wait for each other, so a busy server would become busier.
 */
export class PageSize {
  readonly #start: number;
  #rows: number;
  /** When the last page had been taken; null if nothing was found then. */
  #takenAt: number | null = null;

  constructor(start: number) {
    this.#start = start;
    this.#rows = start;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Something, or nothing, was taken between these times. */
  adapt({ startedAt, endedAt }: { startedAt: number; endedAt: number }, hasTaken: boolean): void {
    if (hasTaken && this.#takenAt !== null) {
      const workedMs = startedAt - this.#takenAt;
      const factor = workedMs < FAST_MS ? 2 : workedMs > SLOW_MS ? 0.5 : 1;
      const rows = Math.round(this.#rows * factor);
      this.#rows = Math.min(4 * this.#start, Math.max(SLOTS, rows));
    }
    this.#takenAt = hasTaken ? endedAt : null;
  }
}

/** What was taken is through so soon, or so late, that the next pages are larger, or smaller. */
const FAST_MS = 250;
const SLOW_MS = 1000;
