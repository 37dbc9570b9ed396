import type { ClientBase } from 'pg';
import { errorCodeOf, PgwatchError } from '../errors.ts';
import { connect, destroySocket } from './connect.ts';
import { OWN_SETTINGS, pinSettings } from './settings.ts';
import { SQLSTATE } from './sqlstate.ts';
import { type ConnectOptions, describeHost } from './target.ts';
import { beginWith, withTransaction } from './transaction.ts';
import { OWN_TYPES } from './types.ts';

/**
 * True if there is a pooler in between: it reports process ids of its own, while the server reports
 * the process that a statement happens to run on.
 * @throws PgwatchError config_invalid if the pooler does not allow transactions
 */
export async function isPooled(client: ClientBase): Promise<boolean> {
  return (await readServing(client)).isPooled;
}

/**
 * Reads whether there is a pooler in between, and which database on which server serves the client,
 * as the name of the database and the start time of the server. This changes after a failover, a
 * move or a change of the pooler's config.
 * @throws as isPooled
 */
export async function readServing(
  client: ClientBase,
): Promise<{ isPooled: boolean; place: string }> {
  const { processID } = client as unknown as { processID: number | null };
  const { rows } = await client.query<{ pid: number; place: string }>({
    text: `select pg_catalog.pg_backend_pid() as pid,
      pg_catalog.concat_ws(' ', pg_catalog.current_database(),
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
      `${host}:${port} is a pooler that lends a connection for one statement only, but pgwatch ` +
        'works in transactions. Switch the pooler to transaction or session mode (pool_mode in ' +
        'PgBouncer), or set url to a connection that bypasses it.',
      { cause: thrown },
    );
  }
}

/**
 * Whether locks, settings and LISTEN last on a connection. They do without a pooler, and with one
 * that assigns a server connection to a client until the client disconnects. To find out, another
 * client of the pooler holds a transaction open: if the pooler lends for a transaction only, this
 * other client gets the server connection of the first one, or the first one gets a different one,
 * or waits. If nothing is proven, the answer is no.
 */
export async function keepsSession(client: ClientBase, options: ConnectOptions): Promise<boolean> {
  if (!(await isPooled(client))) return true;
  try {
    const other = await connect({ ...options, applicationName: 'pgwatch probe' });
    // Cutting it releases what the other client waits for, and makes its own next statement fail.
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
 * Refuses a pooler's connection for work that uses locks and settings of a session.
 * @throws PgwatchError server_unsuitable
 */
export async function requireSession(client: ClientBase, options: ConnectOptions): Promise<void> {
  if (await keepsSession(client, options)) return;
  throw new PgwatchError(
    'server_unsuitable',
    `${describeHost(options)} is a pooler that lends a connection for one transaction only, but ` +
      'this needs a session of its own. Set directUrl to a connection that bypasses the pooler.',
  );
}

/**
 * Pins our settings, for a client that uses nothing else of a session. With a pooler they are
 * limited to the transaction of each piece of work, because the connection is lent to others.
 * @returns a function that runs work with these settings
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

/** Makes the client prepare no named statements: the next one may run on another connection. */
export function forgetNames(client: ClientBase): void {
  const query = client.query.bind(client) as (first: unknown, ...rest: unknown[]) => unknown;
  const unnamed = (first: unknown, ...rest: unknown[]) =>
    query(isNamed(first) ? Object.create(first, UNNAMED) : first, ...rest);
  client.query = unnamed as typeof client.query;
}

async function staysApart(client: ClientBase, other: ClientBase): Promise<boolean> {
  const pid = await serverPid(client);
  // Repeated, because other programs borrow from the pooler too, and it may lend in turn.
  for (let round = 1; round <= PROBE_ROUNDS; round++) {
    if ((await borrowed(other)) === pid) return false;
    if ((await serverPid(client)) !== pid) return false;
    const [next] = await Promise.all([serverPid(client), other.query('rollback')]);
    if (next !== pid) return false;
  }
  return true;
}

/** Begins a transaction and returns the server process that serves the client until it ends. */
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

/** True for a named prepared statement, but not for a cursor, which has a submit(). */
function isNamed(first: unknown): first is { name: string } {
  return typeof first === 'object' && first !== null && 'name' in first && !('submit' in first);
}

const UNNAMED = { name: { value: undefined, enumerable: true } };
const PROBE_ROUNDS = 8;
const PROBE_MS_MAX = 3000;
