import { SLOTS } from '../../log/leases/lease.ts';

/**
 * How many rows of a shared consumer a process takes at a time. Pages grow while handlers are fast
 * and shrink while they are slow, so that a process that joins soon finds something to do. The time
 * that taking lasts does not count: smaller pages would mean more takes, which wait for each other,
 * so a busy server would become busier.
 */
export class PageSize {
  readonly #start: number;
  #rows: number;
  /** When the last page was taken; null if nothing was found then. */
  #takenAt: number | null = null;

  constructor(start: number) {
    this.#start = start;
    this.#rows = start;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adapts the size after a take that lasted from startedAt to endedAt. */
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

/** Pages grow if their rows are handled within FAST_MS, and shrink if that takes over SLOW_MS. */
const FAST_MS = 250;
const SLOW_MS = 1000;
