/** How long to wait for a database that is away. */
export class Patience {
  readonly #ms: number;
  readonly #spent = new AbortController();
  #lostAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param ms may be infinite */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** Aborts once the database was away for too long. */
  get spent(): AbortSignal {
    return this.#spent.signal;
  }

  /** What is left of it, in milliseconds; at most 0 where it is spent. */
  get leftMs(): number {
    if (this.#lostAt === undefined) return this.#ms;
    return this.#lostAt + this.#ms - performance.now();
  }

  /** The database is away, or still is. */
  lose(): void {
    if (this.#lostAt !== undefined) return;
    this.#lostAt = performance.now();
    if (Number.isFinite(this.#ms)) this.#timer = setTimeout(() => this.#spent.abort(), this.#ms);
  }

  /** The database is back, or nobody waits for it any longer. */
  rest(): void {
    clearTimeout(this.#timer);
    this.#lostAt = undefined;
  }
}
