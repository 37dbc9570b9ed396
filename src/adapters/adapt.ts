import { AdaptedTransaction, type RunInTransaction } from '../database/adapted-transaction.ts';
import { named } from '../database/query-rows.ts';
import { PgwatchError } from '../errors.ts';

/** What an adapter knows of its library. */
export type Library<Transaction> = {
  adapter: string;
  /** The argument that it takes, in words. */
  takes: string;
  /** Whether an object comes from the library, in a transaction or not. */
  isFrom(given: Partial<Transaction>): boolean;
  isInTransaction(given: Transaction): boolean;
  run(transaction: Transaction, ...statement: Parameters<RunInTransaction>): PromiseLike<unknown>;
};

/**
 * Makes notify() run its statement in a transaction of another library.
 * @throws PgwatchError input_invalid if it is not from this library; transaction_missing if it is
 *   not in a transaction, here and when a notification is published
 */
export function adapt<Transaction extends object>(
  given: Transaction,
  library: Library<Transaction>,
): AdaptedTransaction {
  requireFrom(given, library);
  requireOpen(given, library);
  return new AdaptedTransaction(async (text, values) => {
    requireOpen(given, library);
    return library.run(given, text, values);
  });
}

function requireFrom<Transaction>(given: Transaction, library: Library<Transaction>): void {
  const isObject = (typeof given === 'object' && given !== null) || typeof given === 'function';
  if (isObject && library.isFrom(given)) return;
  const { adapter, takes } = library;
  throw new PgwatchError('input_invalid', `${adapter}() takes ${takes}, not ${named(given)}.`);
}

function requireOpen<Transaction>(given: Transaction, library: Library<Transaction>): void {
  if (library.isInTransaction(given)) return;
  const { adapter, takes } = library;
  throw new PgwatchError(
    'transaction_missing',
    `${adapter}() was given an object that is not in a transaction: what it publishes would be ` +
      `delivered even after a rollback. Pass ${takes}.`,
  );
}
