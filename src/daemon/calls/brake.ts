import type { Calling } from './calling.ts';

/**
 * Holds back new notifications of a consumer: at a dead letter, with onDead 'stop', and while too
 * many notifications wait for a retry.
 */
export class Brake {
  readonly #calling: Pick<Calling, 'consumer' | 'reporter'>;
  #listener = () => {};
  /** How many dead letters are not saved yet. */
  #newDead = 0;
  /** How often a dead letter was added or saved. */
  #deadMoves = 0;
  #retryCount: number;
  /** How many retries were added since the start, and how many of those were saved. */
  #addedRetries = 0;
  #savedRetries = 0;
  #isHalted = false;
  #isOverfull = false;

  /** @param retryCount how many notifications wait for a retry at the start */
  constructor(calling: Pick<Calling, 'consumer' | 'reporter'>, retryCount: number) {
    this.#calling = calling;
    this.#retryCount = retryCount;
  }

  /** Calls the listener whenever the brake is applied or released. */
  listen(listener: () => void): void {
    this.#listener = listener;
  }

  get isOn(): boolean {
    return this.#isHalted || this.#isOverfull;
  }

  /** True if it is on because of a dead letter. */
  get isHalted(): boolean {
    return this.#isHalted;
  }

  /** True if it is on because too many notifications wait for a retry. */
  get isOverfull(): boolean {
    return this.#isOverfull;
  }

  /**
   * True if it needs a recount of the waiting retries: it is on because of them, or has counted
   * many without knowing which are done.
   */
  get isFilling(): boolean {
    return this.#isOverfull || this.#retryCount > RETRIES_MAX / 2;
  }

  /** Sets whether there are dead letters, which only matters with onDead 'stop'. */
  halt(hasDead: boolean): void {
    const { consumer } = this.#calling;
    const isHalted = (hasDead || this.#newDead > 0) && consumer.onDead === 'stop';
    if (isHalted === this.#isHalted) return;
    this.#isHalted = isHalted;
    this.#change(
      isHalted,
      isHalted
        ? "has a dead letter and onDead: 'stop'; new notifications are held back until it is " +
            `retried or discarded (pgwatch dlq list --consumer ${consumer.id})`
        : 'resumes: no dead letters are left',
    );
  }

  /**
   * Call it before a query for dead letters; it returns a function that takes the result. The query
   * may have missed those added or saved in the meantime.
   */
  look(): (hasDead: boolean) => void {
    const seen = this.#deadMoves;
    return (hasDead) => this.halt(hasDead || this.#deadMoves !== seen);
  }

  /** Counts a dead letter that is about to be saved. */
  addDead(): void {
    this.#newDead += 1;
    this.#deadMoves += 1;
    this.halt(true);
  }

  /** A dead letter that was counted is saved. */
  savedDead(): void {
    this.#newDead -= 1;
    this.#deadMoves += 1;
  }

  /** Counts a new retry, between two counts in the database. */
  addRetry(): void {
    this.#addedRetries += 1;
    this.countRetries(this.#retryCount + 1);
  }

  /** A retry that was counted here is saved. */
  savedRetry(): void {
    this.#savedRetries += 1;
  }

  /**
   * Call it before the retries are counted in the database; it returns a function that takes the
   * count, which may miss those saved in the meantime.
   */
  recount(): (count: number) => void {
    const savedCount = this.#savedRetries;
    return (count) => this.countRetries(count + this.#addedRetries - savedCount);
  }

  /** Sets how many notifications wait for a retry. */
  countRetries(count: number): void {
    const { consumer } = this.#calling;
    this.#retryCount = count;
    const isOverfull = count > (this.#isOverfull ? RETRIES_MAX / 2 : RETRIES_MAX);
    if (isOverfull === this.#isOverfull) return;
    this.#isOverfull = isOverfull;
    this.#change(
      isOverfull,
      isOverfull
        ? `has more than ${RETRIES_MAX.toLocaleString('en')} notifications waiting for a retry; ` +
            'new ones are held back until half of those are done ' +
            `(pgwatch dlq list --state retry --consumer ${consumer.id})`
        : 'resumes: new notifications are delivered again',
    );
  }

  #change(isPutOn: boolean, what: string): void {
    const { consumer, reporter } = this.#calling;
    this.#listener();
    if (isPutOn) reporter.warn(`${consumer.id} ${what}.`, { consumer: consumer.id });
    else reporter.info(`${consumer.id} ${what}.`, { consumer: consumer.id });
  }
}

/** How many notifications of a consumer may wait for a retry before new ones are held back. */
const RETRIES_MAX = 10_000;
