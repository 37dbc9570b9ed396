/** Limits how long to wait for a database that cannot be reached. */
export class Patience {
  readonly #ms: number;
  readonly #spent = new AbortController();
  #lostAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param ms may be infinite */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** Aborts once the database has been unreachable for too long. */
  get spent(): AbortSignal {
    return this.#spent.signal;
  }

  /** The time left, in milliseconds; 0 or less if none is left. */
  get leftMs(): number {
    if (this.#lostAt === undefined) return this.#ms;
    return this.#lostAt + this.#ms - performance.now();
  }

  /** The database cannot be reached, or still cannot. */
  lose(): void {
    if (this.#lostAt !== undefined) return;
    this.#lostAt = performance.now();
    if (Number.isFinite(this.#ms)) this.#timer = setTimeout(() => this.#spent.abort(), this.#ms);
  }

  /** The database is back, or the daemon no longer waits for it. */
  rest(): void {
    clearTimeout(this.#timer);
    this.#lostAt = undefined;
  }
}
