import type { Client } from 'pg';
import { lockedText, readLockedTables, unlockSql } from '../database/locked.ts';
import { SQLSTATE } from '../database/sqlstate.ts';
import { errorCodeOf, PgwatchError } from '../errors.ts';

/**
 * Runs work that only reads. It waits for locks of other sessions for a few seconds, instead of
 * silently forever.
 * @throws PgwatchError table_locked, naming the session and the table
 */
export async function readPatiently<T>(
  client: Client,
  schema: string,
  work: () => Promise<T>,
): Promise<T> {
  await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
  try {
    return await work();
  } catch (thrown) {
    if (errorCodeOf(thrown) !== SQLSTATE.lockNotAvailable) throw thrown;
    await client.query('rollback');
    throw await lockedError(client, schema, thrown);
  }
}

async function lockedError(client: Client, schema: string, cause: unknown): Promise<PgwatchError> {
  const [locked] = await readLockedTables(client, schema);
  const message = locked
    ? `The table ${schema}.${locked.table} is locked: ${lockedText(locked)}. ` +
      `Wait until that is done, or end it: ${unlockSql(locked)}`
    : 'Another session had locked a table for several seconds and has released it by now: ' +
      'try again.';
  return new PgwatchError('table_locked', message, { cause });
}

const LOCK_TIMEOUT = '5s';
