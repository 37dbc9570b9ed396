import { PgwatchError } from '../errors.ts';
import type { PublishClient } from './query-rows.ts';

/** What clients and pools of pg have; older clients do not tell their status. */
type Telling = {
  /** I: none; T: a transaction; E: one that has failed; null: not connected yet. */
  getTransactionStatus?(): string | null;
  totalCount?: number;
  query(text: string): Promise<unknown>;
};

/**
 * Refuses a client if it can be seen that it is not in a transaction.
 * @throws PgwatchError transaction_missing
 */
export async function requireTransaction(client: PublishClient): Promise<void> {
  const told = client as Telling;
  if (typeof told.getTransactionStatus === 'function') {
    if (told.getTransactionStatus() !== 'I') return;
    // A begin may be on its way: the program need not have waited for it.
    await told.query('select');
    if (told.getTransactionStatus() === 'I') {
      throw missing('has no open transaction', 'run begin on it first');
    }
  } else if (typeof told.totalCount === 'number') {
    throw missing('is a pool', 'pass a client that the pool has lent and that has run begin');
  }
}

function missing(fault: string, remedy: string): PgwatchError {
  return new PgwatchError(
    'transaction_missing',
    `client ${fault}, so the notification would be delivered even after a rollback: ${remedy}, ` +
      'or leave client out to publish at once.',
  );
}
