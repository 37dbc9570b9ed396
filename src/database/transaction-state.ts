import { setTimeout as delay } from 'node:timers/promises';
import type { ClientBase } from 'pg';

/** An open transaction, and the server process that runs it. */
export type OpenTransaction = { pid: number; xid: string };

/** The outcome of a transaction, according to the server. */
export type TransactionState = 'committed' | 'aborted' | 'in progress';

/**
 * Reads which transaction is open on the connection; this assigns its xid.
 * @param set.idleMax how long it may be idle from now on before the server ends it, which releases
 *   its locks
 * @param set.role the role to go on with; default: the current one
 */
export async function readTransaction(
  client: ClientBase,
  { idleMax, role = null }: { idleMax: string; role?: string | null },
): Promise<OpenTransaction & { role: string }> {
  const { rows } = await client.query<OpenTransaction & { role: string }>(
    `select pg_backend_pid() as pid, pg_current_xact_id()::text as xid,
       set_config('idle_in_transaction_session_timeout', $1, true),
       set_config('role', coalesce($2, current_setting('role')), true) as role`,
    [idleMax, role],
  );
  const { pid, xid, role: current } = rows[0] as OpenTransaction & { role: string };
  return { pid, xid, role: current };
}

/**
 * Ends the backend that still runs a transaction. Finds it by the transaction's id, because a
 * pooler may have given the backend to another client.
 * @param waitMs how long to wait until it has ended; 0: do not wait
 */
export async function endBackendOf(
  client: ClientBase,
  { pid, xid }: Partial<OpenTransaction>,
  waitMs = 0,
): Promise<void> {
  await client.query(
    `select pg_terminate_backend(pid, $3) from pg_stat_activity
     where pid = $1 and backend_xid = $2::xid8::xid`,
    [pid, xid, waitMs],
  );
}

/**
 * Ends a transaction whose connection was lost, if the server still runs it, and reads its outcome.
 */
export async function readTransactionState(
  client: ClientBase,
  transaction: OpenTransaction,
): Promise<TransactionState> {
  for (let look = 1; ; look++) {
    await endBackendOf(client, transaction, 1000);
    const { rows } = await client.query<{ state: TransactionState | null }>(
      'select pg_xact_status($1::xid8) as state',
      [transaction.xid],
    );
    const state = rows[0]?.state ?? 'in progress';
    if (state !== 'in progress' || look === LOOKS_MAX) return state;
    await delay(LOOK_MS);
  }
}

const LOOKS_MAX = 20;
const LOOK_MS = 100;
