import type { Client } from 'pg';
import { PgwatchError } from '../errors.ts';

/** The server's end of a connection. Includes its start time, because process ids are reused. */
export type Backend = { pid: number; startedAt: string };

/** Reads the server's end of this connection. */
export async function readBackend(client: Client): Promise<Backend | null> {
  const { rows } = await client.query<Backend>(
    `select pid, backend_start::text as "startedAt" from pg_stat_activity
     where pid = pg_backend_pid()`,
  );
  return rows[0] ?? null;
}

/** Ends a backend if it still holds locks. Otherwise it may serve another client of a pooler. */
export async function terminateBackend(
  client: Client,
  { pid, startedAt }: Backend,
  applicationName: string,
): Promise<void> {
  await client.query(
    `select pg_terminate_backend(pid, 1000) from pg_stat_activity
     where pid = $1 and backend_start::text = $2 and application_name = $3
       and exists (select from pg_locks where pg_locks.pid = $1 and locktype = 'advisory')`,
    [pid, startedAt, applicationName],
  );
}

/** @throws PgwatchError server_unsuitable if the connection does not allow writes */
export async function requirePrimary(client: Client): Promise<void> {
  const { rows } = await client.query<{ is_standby: boolean; is_read_only: boolean }>(
    `select pg_is_in_recovery() as is_standby,
       current_setting('transaction_read_only')::boolean as is_read_only`,
  );
  if (rows[0]?.is_standby) {
    throw new PgwatchError(
      'server_unsuitable',
      'The server is a standby: the log is written and read on the primary. ' +
        'Connect to the primary.',
    );
  }
  if (rows[0]?.is_read_only) {
    throw new PgwatchError(
      'server_unsuitable',
      'The server is read-only (default_transaction_read_only); pgwatch has to save positions. ' +
        'Connect to the primary, or let the role write.',
    );
  }
}
