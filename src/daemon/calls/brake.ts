import type { Calling } from './calling.ts';

/**
 * Keeps a consumer from new notifications: at a dead letter, where that is asked for, and where so
 * many wait for a retry that more would be of no use.
 */
export class Brake {
  readonly #calling: Pick<Calling, 'consumer' | 'reporter'>;
  #listener = () => {};
  /** Dead letters that are not saved yet. */
  #newDead = 0;
  /** How often one came to these, or was saved. */
  #deadMoves = 0;
  #retryCount: number;
  /** How many have come to these, and how many of them are saved. */
  #addedRetries = 0;
  #savedRetries = 0;
  #isHalted = false;
  #isOverfull = false;

  /** @param retryCount how many wait for a retry at the beginning */
  constructor(calling: Pick<Calling, 'consumer' | 'reporter'>, retryCount: number) {
    this.#calling = calling;
    this.#retryCount = retryCount;
  }

  /** Calls it whenever the brake is put on or taken off. */
  listen(listener: () => void): void {
    this.#listener = listener;
  }

  get isOn(): boolean {
    return this.#isHalted || this.#isOverfull;
  }

  /** True where it is on because of a dead letter. */
  get isHalted(): boolean {
    return this.#isHalted;
  }

  /** True where it is on because too much waits for a retry. */
  get isOverfull(): boolean {
    return this.#isOverfull;
  }

  /**
   * True where it is to be told how many wait for a retry: it is on because of them, or has counted
   * many, and knows nothing of those that are through.
   */
  get isFilling(): boolean {
    return this.#isOverfull || this.#retryCount > RETRIES_MAX / 2;
  }

  /** Says whether there are dead letters, which only matters with onDead 'stop'. */
  halt(hasDead: boolean): void {
    const { consumer } = this.#calling;
    const isHalted = (hasDead || this.#newDead > 0) && consumer.onDead === 'stop';
    if (isHalted === this.#isHalted) return;
    this.#isHalted = isHalted;
    this.#change(
      isHalted,
      isHalted
        ? `has a dead letter and onDead: 'stop': it takes nothing new until that is retried or discarded (pgwatch dlq list --consumer ${consumer.id})`
        : 'goes on: no dead letter is left',
    );
  }

  /**
   * A look for dead letters begins. Returns what is to be told whether there are any: of those that
   * came or were saved since, it may know nothing.
   */
  look(): (hasDead: boolean) => void {
    const seen = this.#deadMoves;
    return (hasDead) => this.halt(hasDead || this.#deadMoves !== seen);
  }

  /** One more is dead, and about to be saved. */
  addDead(): void {
    this.#newDead += 1;
    this.#deadMoves += 1;
    this.halt(true);
  }

  /** One of those is saved. */
  savedDead(): void {
    this.#newDead -= 1;
    this.#deadMoves += 1;
  }

  /** Between two counts in the database, what comes to it is counted here. */
  addRetry(): void {
    this.#addedRetries += 1;
    this.countRetries(this.#retryCount + 1);
  }

  /** One that was counted here is saved. */
  savedRetry(): void {
    this.#savedRetries += 1;
  }

  /**
   * They are about to be counted in the database. Returns what is to be told of it: what is saved
   * only now may not be among them.
   */
  recount(): (count: number) => void {
    const savedCount = this.#savedRetries;
    return (count) => this.countRetries(count + this.#addedRetries - savedCount);
  }

  /** Says how many wait for a retry. */
  countRetries(count: number): void {
    const { consumer } = this.#calling;
    this.#retryCount = count;
    const isOverfull = count > (this.#isOverfull ? RETRIES_MAX / 2 : RETRIES_MAX);
    if (isOverfull === this.#isOverfull) return;
    this.#isOverfull = isOverfull;
    this.#change(
      isOverfull,
      isOverfull
        ? `fails so often that more than ${RETRIES_MAX} notifications wait for a retry: it takes nothing new until half of them are through (pgwatch dlq list --state retry --consumer ${consumer.id})`
        : 'takes new notifications again',
    );
  }

  #change(isPutOn: boolean, what: string): void {
    const { consumer, reporter } = this.#calling;
    this.#listener();
    if (isPutOn) reporter.warn(`${consumer.id} ${what}.`, { consumer: consumer.id });
    else reporter.info(`${consumer.id} ${what}.`, { consumer: consumer.id });
  }
}

/** Of a consumer's notifications so many may wait for a retry before it takes no new ones. */
const RETRIES_MAX = 10_000;
