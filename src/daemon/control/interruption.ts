import type { Config } from '../../config/define.ts';
import { isStatementError } from '../../database/connect.ts';
import { isTransient } from '../../database/connection-error.ts';
import { errorCodeOf, PgwatchError } from '../../errors.ts';
import { backoffMs } from '../../time.ts';

/**
 * True if another session would end in the same way.
 * @param hasConnected whether an earlier session was connected: its server may come back
 */
export function isFatal(error: Error, hasConnected: boolean): boolean {
  if (error instanceof PgwatchError) {
    if (error.code === 'server_unsuitable' || error.code === 'position_missing') return false;
    if (error.code !== 'connection_failed') return true;
    return !hasConnected && !isTransient(error);
  }
  // Syntax errors, access rule violations and programmer errors would occur in the next session
  // too.
  return (
    (errorCodeOf(error) ?? '').startsWith('42') ||
    error.name === 'AssertionError' ||
    error instanceof TypeError
  );
}

/** What has interrupted a session, in a sentence. */
export function interruption(error: Error): string {
  if (error instanceof PgwatchError) return error.message;
  return isStatementError(error)
    ? `The database refused a statement: ${error.message}.`
    : `The connection to the database was lost: ${error.message}.`;
}

/** How long to wait before the next session. @param failures how many sessions have failed */
export function reconnectMs({ reconnectDelayMs }: Config, failures: number): number {
  return backoffMs(failures, { baseMs: reconnectDelayMs, capMs: RECONNECT_MS_MAX });
}

/** Short, so that it reconnects soon after the server has restarted. */
const RECONNECT_MS_MAX = 2000;
