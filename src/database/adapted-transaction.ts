/** Runs a statement with $1, $2, … in a transaction; returns rows as pg does, or bare ones. */
export type RunInTransaction = (text: string, values: (string | null)[]) => Promise<unknown>;

/**
 * The transaction of another library, as pgwatch/adapters makes it for notify(). A class, so that
 * no other object that has a query() is taken for one.
 */
export class AdaptedTransaction {
  readonly #run: RunInTransaction;

  constructor(run: RunInTransaction) {
    this.#run = run;
  }

  /** Runs a statement in the transaction. */
  query(text: string, values: (string | null)[]): Promise<unknown> {
    return this.#run(text, values);
  }
}
