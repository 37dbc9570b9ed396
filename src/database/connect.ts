import pg from 'pg';
import { PgwatchError } from '../errors.ts';
import { connectionError, lostError } from './connection-error.ts';
import { type ConnectOptions, clientOptions } from './target.ts';
import { OWN_TYPES } from './types.ts';

/** Whatever can run a query: a client, a pool, a client borrowed from a pool. */
export type Queryable = Pick<pg.ClientBase, 'query'> | Pick<pg.Pool, 'query'>;

/**
 * A client of ours: what the application has told node-postgres of types and formats is not for us.
 */
export class OwnClient extends pg.Client {
  constructor(config: pg.ClientConfig) {
    super({ ...config, types: OWN_TYPES });
    // Of what stands in pg.defaults these would be taken even where the config says otherwise.
    const own = this as unknown as {
      binary: boolean;
      connectionParameters: Record<string, unknown>;
    };
    own.binary = false;
    for (const name of DEFAULTS) own.connectionParameters[name] = false;
  }
}

/**
 * Opens one connection of ours. Its settings are still the session's (see pinSettings).
 * @throws PgwatchError connection_failed, with the server's or the network's error as its cause
 */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const client = new OwnClient(clientOptions(options));
  // Without a listener an error on an idle connection would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (thrown) {
    destroySocket(client);
    throw connectionError(thrown, options);
  }
}

/**
 * Runs the work with a connection of its own and closes it afterwards.
 * @throws PgwatchError connection_failed, also where it is lost meanwhile; and whatever the work
 *   throws
 */
export async function withConnection<T>(
  options: ConnectOptions,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(options);
  try {
    return await work(client);
  } catch (thrown) {
    throw isOver(client, thrown) ? lostError(thrown, options) : thrown;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Closes the socket without a word to the server: for connections that no longer answer. */
export function destroySocket(client: pg.ClientBase): void {
  const { connection } = client as unknown as { connection?: { stream: { destroy(): void } } };
  connection?.stream.destroy();
}

/** True where nothing can be sent over the connection any more. */
export function isLost(client: pg.ClientBase): boolean {
  const { _queryable, _ended } = client as unknown as { _queryable: boolean; _ended: boolean };
  return !_queryable || _ended;
}

/** The server may have said that it ends the connection, and the end itself be on its way. */
function isOver(client: pg.ClientBase, thrown: unknown): boolean {
  if (thrown instanceof PgwatchError) return false;
  return isLost(client) || (thrown instanceof pg.DatabaseError && !isStatementError(thrown));
}

/** True where the server refused a statement, and the connection is none the worse for it. */
export function isStatementError(thrown: unknown): boolean {
  return thrown instanceof pg.DatabaseError && thrown.severity === 'ERROR';
}

/** Limits that pg.defaults may hold. */
const DEFAULTS = [
  'query_timeout',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
];
