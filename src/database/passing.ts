import type pg from 'pg';
import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { isDatabaseError, isLost } from './connect.ts';
import { isTransient } from './connection-error.ts';
import { SQLSTATE } from './sqlstate.ts';

/**
 * True if the same statement may succeed a moment later: it was canceled, its connection was
 * terminated or could not be opened, or it met a deadlock, a lock, or a server without resources.
 */
export function isPassing(thrown: unknown): boolean {
  if (thrown instanceof PgwatchError) {
    return thrown.code === 'connection_failed' && isTransient(thrown);
  }
  if (!isDatabaseError(thrown)) return false;
  return thrown.severity !== 'ERROR' || PASSING.test(errorCodeOf(thrown) ?? '');
}

/** True if a lock was not available, for callers that try again later. */
export function isLocked(thrown: unknown): boolean {
  return errorCodeOf(thrown) === SQLSTATE.lockNotAvailable;
}

/**
 * Why work with a client failed. If its connection was lost, node-postgres gives an error without a
 * code, and this returns one that isPassing.
 */
export function lossOf(client: pg.ClientBase, thrown: unknown): Error {
  const error = toError(thrown);
  if (!isLost(client) || isPassing(error)) return error;
  const message = `The connection to the database was lost: ${error.message}.`;
  return new PgwatchError('connection_failed', message, { cause: error });
}

/**
 * Classes of appendix A of PostgreSQL's manual: connection exception, transaction rollback,
 * insufficient resources, operator intervention; and the code for a lock that is not available.
 */
const PASSING = /^(08|40|53|57|55P03)/;
