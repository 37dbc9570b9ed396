import pg from 'pg';
import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { TIMER_MS_MAX } from '../time.ts';
import { SQLSTATE } from './sqlstate.ts';

export type ConnectOptions = {
  /** Null: libpq's environment variables. */
  url: string | null;
  /** Shown in pg_stat_activity. Default 'pgwatch'. */
  applicationName?: string;
};

export type PoolOptions = ConnectOptions & {
  /** How many connections at most. */
  size: number;
  /** Server settings of its connections. */
  settings?: Record<string, string>;
  /**
   * How long work with a borrowed client may take before its connection counts as dead. Default:
   * for ever.
   */
  deadlineMs?: number;
  /** Told of errors on idle connections. */
  onError?: (error: Error) => void;
};

/** Whatever can run a query: a client, a pool, a client borrowed from a pool. */
export type Queryable = Pick<pg.ClientBase, 'query'> | Pick<pg.Pool, 'query'>;

/**
 * A pool that never kills the process and whose connections can be dropped at once, which is what a
 * dead network needs: nothing else ends a query on a half-open connection.
 */
export class Pool {
  readonly pool: pg.Pool;
  readonly #clients = new Set<pg.ClientBase>();
  readonly #deadlineMs: number;
  readonly #keptMax: number;
  #kept = 0;
  #isShut = false;

  constructor(options: PoolOptions) {
    const settings = Object.entries(options.settings ?? {})
      .map(([name, value]) => `set_config('${name}', ${pg.escapeLiteral(value)}, false)`)
      .join(', ');
    const onError = options.onError ?? (() => {});
    const clients = this.#clients;
    this.pool = new pg.Pool({
      ...clientOptions(options),
      max: options.size,
      // Known from the first moment, because connecting can hang too.
      Client: class extends pg.Client {
        constructor(config?: pg.ClientConfig) {
          super(config);
          clients.add(this);
          this.on('error', onError);
          this.once('end', () => clients.delete(this));
        }
      },
      onConnect: async (client: pg.ClientBase) => {
        if (this.#isShut) throw new Error('The pool is shut.');
        // After connecting, because poolers refuse such settings at the start.
        if (settings) await this.guard(client, client.query(`select ${settings}`));
      },
    });
    this.pool.on('error', onError);
    this.#deadlineMs = options.deadlineMs ?? TIMER_MS_MAX;
    this.#keptMax = Math.floor(options.size / 2);
  }

  /**
   * Runs the work with a borrowed client; the client is thrown away where the connection failed.
   */
  async withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let failure: Error | undefined;
    try {
      return await this.guard(client, work(client));
    } catch (thrown) {
      failure = toError(thrown);
      throw thrown;
    } finally {
      client.release(failure !== undefined && !isStatementError(failure));
    }
  }

  /**
   * Waits for work on a client, and cuts its connection where that takes longer than deadlineMs.
   */
  async guard<T>(client: pg.ClientBase, work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => destroySocket(client), this.#deadlineMs);
    return work.finally(() => clearTimeout(timer));
  }

  /**
   * Asks to keep a client for longer than a statement. False where too few would be left for the
   * others' statements: at most half of them may be kept. True must be followed by unkeep().
   */
  keep(): boolean {
    if (this.#kept >= this.#keptMax) return false;
    this.#kept += 1;
    return true;
  }

  unkeep(): void {
    this.#kept -= 1;
  }

  /** Cuts every connection, for good: whatever wants one from now on fails. */
  shut(): void {
    this.#isShut = true;
    this.reset();
  }

  /** Cuts every connection; queries that run on one fail. The pool goes on with new ones. */
  reset(): void {
    for (const client of this.#clients) destroySocket(client);
  }

  /** Ends the pool: what is still running after the grace time is cut off. */
  async close(graceMs = 1000): Promise<void> {
    const ended = this.pool.end();
    const timer = setTimeout(() => this.reset(), graceMs);
    await ended.finally(() => clearTimeout(timer));
  }
}

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
    throw connectionError(thrown, options.url);
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

/**
 * True where waiting may help: the server is away, starting, or full. False for a wrong password.
 */
export function isTransient(thrown: unknown): boolean {
  const cause = thrown instanceof PgwatchError ? thrown.cause : thrown;
  const code = errorCodeOf(cause) ?? '';
  return !PERMANENT.has(code);
}

/** The server and database of a connection string, without its password. */
export function describeTarget(url: string | null): string {
  const { host, port, database, user } = new pg.Client(clientOptions({ url }));
  const parts = [`${host}:${port}`];
  if (database) parts.push(`database "${database}"`);
  if (user) parts.push(`user "${user}"`);
  return parts.join(', ');
}

function clientOptions({ url, applicationName = 'pgwatch' }: ConnectOptions): pg.ClientConfig {
  return {
    ...(url === null ? {} : { connectionString: url }),
    application_name: applicationName,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  };
}

function connectionError(thrown: unknown, url: string | null): PgwatchError {
  const target = describeTarget(url);
  const code = errorCodeOf(thrown) ?? '';
  const reason = REASONS[code] ?? `: ${toError(thrown).message.replace(/\.$/, '')}.`;
  const source =
    url === null
      ? ' No connection string is set: give --database-url or DATABASE_URL.'
      : ' The connection string is in --database-url, DATABASE_URL or the config file.';
  return new PgwatchError('connection_failed', `Cannot connect to ${target}${reason}${source}`, {
    cause: thrown,
  });
}

const PERMANENT = new Set<string>([
  SQLSTATE.invalidPassword,
  SQLSTATE.invalidAuthorization,
  SQLSTATE.invalidCatalog,
]);

const REASONS: Record<string, string> = {
  [SQLSTATE.invalidPassword]: ': the password is wrong.',
  [SQLSTATE.invalidCatalog]: ': there is no such database.',
  [SQLSTATE.cannotConnectNow]: ': the server is starting up or shutting down.',
  [SQLSTATE.tooManyConnections]: ': the server has no free connection (max_connections).',
  ECONNREFUSED: ': no server is listening there.',
  ENOTFOUND: ': there is no host of that name.',
};
