import type { ClientBase } from 'pg';
import { errorCodeOf, PgwatchError } from '../errors.ts';
import { connect, destroySocket } from './connect.ts';
import { OWN_SETTINGS, pinSettings } from './settings.ts';
import { SQLSTATE } from './sqlstate.ts';
import { type ConnectOptions, describeHost } from './target.ts';
import { beginWith, withTransaction } from './transaction.ts';
import { OWN_TYPES } from './types.ts';

/**
 * True where a pooler stands between: it gives out process ids of its own, while the server's is
 * that of the connection which a statement happens to run on.
 * @throws PgwatchError config_invalid where it allows no transactions
 */
export async function isPooled(client: ClientBase): Promise<boolean> {
  return (await readServing(client)).isPooled;
}

/**
 * Whether a pooler stands between, and which database of which server serves the client: its name,
 * and when the server was started. After a failover, a move or a change of the pooler's config that
 * is another one.
 * @throws as isPooled
 */
export async function readServing(
  client: ClientBase,
): Promise<{ isPooled: boolean; place: string }> {
  const { processID } = client as unknown as { processID: number | null };
  const { rows } = await client.query<{ pid: number; place: string }>({
    text: `select pg_catalog.pg_backend_pid() as pid, pg_catalog.concat_ws(' ', pg_catalog.current_database(),
      extract(epoch from pg_catalog.pg_postmaster_start_time())) as place`,
    types: OWN_TYPES,
  });
  const { pid, place } = rows[0] as { pid: number; place: string };
  const isBehind = pid !== processID;
  if (isBehind) await requireTransactions(client);
  return { isPooled: isBehind, place };
}

async function requireTransactions(client: ClientBase): Promise<void> {
  if (client.getTransactionStatus() === 'T') return;
  try {
    await client.query('begin');
    await client.query('rollback');
  } catch (thrown) {
    if (errorCodeOf(thrown) !== SQLSTATE.protocolViolation) throw thrown;
    const { host, port } = client as unknown as { host: string; port: number };
    throw new PgwatchError(
      'config_invalid',
      `${host}:${port} is a pooler that lends a connection for one statement only, and pgwatch works in transactions. Have it lend them for a transaction or a session (pool_mode of PgBouncer), or give url a connection that bypasses it.`,
      { cause: thrown },
    );
  }
}

/**
 * Whether locks, settings and LISTEN last on a connection: always without a pooler, and behind one
 * that keeps a server's connection for a client as long as it stays. Another client of the pooler
 * holds a transaction open; in a pooler that lends for a transaction only, it is lent what was the
 * first one's, or the first one is lent another, or waits. What is not proven counts as not so.
 */
export async function keepsSession(client: ClientBase, options: ConnectOptions): Promise<boolean> {
  if (!(await isPooled(client))) return true;
  try {
    const other = await connect({ ...options, applicationName: 'pgwatch probe' });
    // Whoever waits for what it holds goes on then, and its next statement fails.
    const timer = setTimeout(() => destroySocket(other), PROBE_MS_MAX);
    try {
      return await staysApart(client, other);
    } finally {
      clearTimeout(timer);
      destroySocket(other);
    }
  } catch {
    return false;
  }
}

/**
 * Refuses a pooler's connection for what takes locks and settings of a session.
 * @throws PgwatchError server_unsuitable
 */
export async function requireSession(client: ClientBase, options: ConnectOptions): Promise<void> {
  if (await keepsSession(client, options)) return;
  throw new PgwatchError(
    'server_unsuitable',
    `${describeHost(options)} is a pooler that lends a connection for one transaction only, and this takes one of its own. Give directUrl a connection that bypasses it.`,
  );
}

/**
 * Pins our settings, for a client that takes nothing else of a session. Behind a pooler they are
 * confined to the transaction of each work, because the connection is lent to others.
 * @returns runs work with them
 */
export async function withOwnSettings(
  client: ClientBase,
): Promise<<T>(work: () => Promise<T>) => Promise<T>> {
  if (await isPooled(client)) {
    return (work) => withTransaction(client, work, beginWith(OWN_SETTINGS));
  }
  await pinSettings(client);
  return (work) => work();
}

/** Leaves nothing with a name on the connection: the next statement may run on another one. */
export function forgetNames(client: ClientBase): void {
  const query = client.query.bind(client) as (first: unknown, ...rest: unknown[]) => unknown;
  const unnamed = (first: unknown, ...rest: unknown[]) =>
    query(isNamed(first) ? Object.create(first, UNNAMED) : first, ...rest);
  client.query = unnamed as typeof client.query;
}

async function staysApart(client: ClientBase, other: ClientBase): Promise<boolean> {
  const pid = await serverPid(client);
  // Again and again, because other programs borrow from the pooler too, and it may lend in turn.
  for (let round = 1; round <= PROBE_ROUNDS; round++) {
    if ((await borrowed(other)) === pid) return false;
    if ((await serverPid(client)) !== pid) return false;
    const [next] = await Promise.all([serverPid(client), other.query('rollback')]);
    if (next !== pid) return false;
  }
  return true;
}

/** The server's process that serves a client for as long as its transaction is open. */
async function borrowed(client: ClientBase): Promise<number> {
  await client.query('begin');
  return serverPid(client);
}

async function serverPid(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ pid: number }>({
    text: 'select pg_catalog.pg_backend_pid() as pid',
    types: OWN_TYPES,
  });
  return rows[0]?.pid ?? 0;
}

/** A statement to be prepared under a name; a cursor, which has a submit(), is none. */
function isNamed(first: unknown): first is { name: string } {
  return typeof first === 'object' && first !== null && 'name' in first && !('submit' in first);
}

const UNNAMED = { name: { value: undefined, enumerable: true } };
const PROBE_ROUNDS = 8;
const PROBE_MS_MAX = 3000;
