import pg from 'pg';
import { PgwatchError, textOf } from '../errors.ts';
import { connectionError, lostError } from './connection-error.ts';
import { type ConnectOptions, clientOptions } from './target.ts';
import { OWN_TYPES } from './types.ts';

/** Anything that can run a query: a client, a pool, or a client borrowed from a pool. */
export type Queryable = Pick<pg.ClientBase, 'query'> | Pick<pg.Pool, 'query'>;

/**
 * A client of ours, which ignores what the application has set in node-postgres for types and
 * formats.
 */
export class OwnClient extends pg.Client {
  constructor(config: pg.ClientConfig) {
    super({ ...config, types: OWN_TYPES });
    // node-postgres would take these from pg.defaults even if the config says otherwise.
    const own = this as unknown as {
      binary: boolean;
      connectionParameters: Record<string, unknown>;
    };
    own.binary = false;
    for (const name of DEFAULTS) own.connectionParameters[name] = false;
  }
}

/**
 * Opens a connection of ours. It still has the default settings of the session; see pinSettings.
 * @throws PgwatchError connection_failed, with the server's or the network's error as its cause
 */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const client = new OwnClient(clientOptions(options));
  // Without a listener, an error on an idle connection would end the process.
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
 * Runs the work with a new connection and closes it afterwards.
 * @throws PgwatchError connection_failed, also if the connection is lost during the work; and
 *   whatever the work throws
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

/** Closes the socket without telling the server, for connections that no longer answer. */
export function destroySocket(client: pg.ClientBase): void {
  const { connection } = client as unknown as { connection?: { stream: { destroy(): void } } };
  connection?.stream.destroy();
}

/** True if nothing can be sent over the connection any more. */
export function isLost(client: pg.ClientBase): boolean {
  const { _queryable, _ended } = client as unknown as { _queryable: boolean; _ended: boolean };
  return !_queryable || _ended;
}

/** True if the connection is lost, or the server has announced that it ends it. */
function isOver(client: pg.ClientBase, thrown: unknown): boolean {
  if (thrown instanceof PgwatchError) return false;
  return isLost(client) || (isDatabaseError(thrown) && !isStatementError(thrown));
}

/** True for an error of the server. Not by its class: a program may have another copy of pg. */
export function isDatabaseError(thrown: unknown): thrown is Error & { severity: string } {
  return thrown instanceof Error && textOf(() => (thrown as pg.DatabaseError).severity) !== '';
}

/** True if the server refused a statement, and the connection is still usable. */
export function isStatementError(thrown: unknown): boolean {
  return isDatabaseError(thrown) && thrown.severity === 'ERROR';
}

/** Limits that may be set in pg.defaults. */
const DEFAULTS = [
  'query_timeout',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
];
