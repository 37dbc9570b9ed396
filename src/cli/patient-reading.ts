import type { Client } from 'pg';
import { lockedText, readLockedTables, unlockSql } from '../database/locked.ts';
import { SQLSTATE } from '../database/sqlstate.ts';
import { errorCodeOf, PgwatchError } from '../errors.ts';

/**
 * Runs work that only reads: it waits for others' locks for a few seconds, not for ever and without
 * a word.
 * @throws PgwatchError table_locked, with who has locked what
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
    ? `The table ${schema}.${locked.table} is locked: ${lockedText(locked)}. Wait until that is done, or end it: ${unlockSql(locked)}`
    : 'A table was locked for several seconds by somebody who has let go by now: try again.';
  return new PgwatchError('table_locked', message, { cause });
}

const LOCK_TIMEOUT = '5s';
