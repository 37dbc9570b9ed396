import { setTimeout as delay } from 'node:timers/promises';
import type { ClientBase } from 'pg';

/** What became of a transaction, as the server knows. */
export type TransactionState = 'committed' | 'aborted' | 'in progress';

/**
 * Ends what the server still does for a transaction whose connection was lost, and reads what became of it.
 * By the transaction's id, because a pooler may have given the backend to somebody else.
 */
export async function readTransactionState(
  client: ClientBase,
  { pid, xid }: { pid: number; xid: string },
): Promise<TransactionState> {
  for (let look = 1; ; look++) {
    await client.query(
      `select pg_terminate_backend(pid, 1000) from pg_stat_activity
       where pid = $1 and backend_xid = $2::xid8::xid`,
      [pid, xid],
    );
    const { rows } = await client.query<{ state: TransactionState | null }>(
      'select pg_xact_status($1::xid8) as state',
      [xid],
    );
    const state = rows[0]?.state ?? 'in progress';
    if (state !== 'in progress' || look === LOOKS_MAX) return state;
    await delay(LOOK_MS);
  }
}

const LOOKS_MAX = 20;
const LOOK_MS = 100;
