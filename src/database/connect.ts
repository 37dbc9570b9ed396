import pg from 'pg';
import { connectionError } from './connection-error.ts';
import { type ConnectOptions, clientOptions } from './target.ts';

/** Whatever can run a query: a client, a pool, a client borrowed from a pool. */
export type Queryable = Pick<pg.ClientBase, 'query'> | Pick<pg.Pool, 'query'>;

/**
 * Opens one connection.
 * @throws PgwatchError connection_failed, with the server's or the network's error as its cause
 */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const client = new pg.Client(clientOptions(options));
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

/** Runs the work with a connection of its own and closes it afterwards. */
export async function withConnection<T>(
  options: ConnectOptions,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(options);
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Closes the socket without a word to the server: for connections that no longer answer. */
export function destroySocket(client: pg.ClientBase): void {
  const { connection } = client as unknown as { connection?: { stream: { destroy(): void } } };
  connection?.stream.destroy();
}

/** True where the server refused a statement, and the connection is none the worse for it. */
export function isStatementError(thrown: unknown): boolean {
  return thrown instanceof pg.DatabaseError && thrown.severity === 'ERROR';
}
