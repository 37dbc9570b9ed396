import type pg from 'pg';
import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { TIMER_MS_MAX } from '../time.ts';
import { destroySocket, isStatementError } from './connect.ts';
import { connectionError } from './connection-error.ts';
import { Losses } from './losses.ts';
import { BorrowedPool, OpenedPool, type PoolSource, type SourceHooks } from './pool-sources.ts';
import { forgetNames, readServing } from './pooler.ts';
import { OWN_SETTINGS } from './settings.ts';
import { SQLSTATE } from './sqlstate.ts';
import { CONNECT_MS_MAX, type ConnectOptions } from './target.ts';
import { beginWith, type Settings, settingsSql, withTransaction } from './transaction.ts';

export type PoolOptions = ConnectOptions & {
  /** The maximum number of connections. */
  size: number;
  /**
   * ours, the default: with pgwatch's own types and settings. user: with those that the application
   * and the database have configured.
   */
  sessions?: 'ours' | 'user';
  /** Additional settings, if sessions is ours. */
  settings?: Settings;
  /**
   * How long work with a borrowed client may take before its connection counts as dead. Default: no
   * limit.
   */
  deadlineMs?: number;
  /**
   * Where its connections have to lead at the moment, as returned by readServing(); null: anywhere.
   */
  place?: () => string | null;
  /** Called with errors on idle connections. */
  onError?: (error: Error) => void;
  /** A program's own pool, of this size, to borrow connections from. Default null: none. */
  own?: pg.Pool | null;
};

/** What lends clients: a pool, or a wrapper around one. */
export type Clients = Pick<
  Pool,
  'withClient' | 'keep' | 'unkeep' | 'guard' | 'isGivenUp' | 'lossesWithin'
>;

/**
 * A pool that never kills the process and whose connections can all be dropped at once. A dead
 * network requires that: nothing else ends a query on a half-open connection. If a pooler lends the
 * server's connections, nothing is left on them: no settings, no prepared statements.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #source: PoolSource;
  readonly #pooled = new WeakSet<pg.ClientBase>();
  readonly #places = new WeakMap<pg.ClientBase, string>();
  readonly #waiting = new Set<PromiseWithResolvers<pg.PoolClient>>();
  readonly #losses = new Losses();
  #resets = 0;
  #kept = 0;
  #isShut = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    const { own, onError = () => {} } = options;
    const hooks: SourceHooks = {
      prepare: (client) => this.#guard(client, this.#prepare(client), CONNECT_MS_MAX),
      onLoss: (client, error) => {
        this.#losses.note(client);
        onError(error);
      },
      onError,
    };
    this.#source = own ? new BorrowedPool(own, hooks) : new OpenedPool(options, hooks);
  }

  /** Only for its counts: clients are borrowed through this class. */
  get pool(): pg.Pool {
    return this.#source.pool;
  }

  /**
   * True if the sessions belong to a program: what a handler leaves on them is the program's
   * affair, except for an open transaction.
   */
  get isBorrowed(): boolean {
    return this.#source instanceof BorrowedPool;
  }

  /** How many of its connections were lost for no known reason in the last milliseconds given. */
  lossesWithin(ms: number): number {
    return this.#losses.within(ms);
  }

  /** Records that there is a known reason for the loss of the connection. */
  explainLoss(client: pg.ClientBase): void {
    this.#losses.explain(client);
  }

  /** True once it is shut. */
  get isGivenUp(): boolean {
    return this.#isShut;
  }

  /**
   * Runs the work with a borrowed client, and waits for a free one for as long as it takes. The
   * client is discarded if its connection failed.
   * @throws PgwatchError connection_failed; server_unsuitable if it leads to the wrong place; and
   *   whatever the work throws
   */
  async withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const settings = this.#settings;
    const client = await this.#borrowInPlace();
    let failure: Error | undefined;
    try {
      const isConfined = settings !== undefined && this.#pooled.has(client);
      return await this.guard(
        client,
        isConfined ? withTransaction(client, work, beginWith(settings)) : work(client),
      );
    } catch (thrown) {
      failure = toError(thrown);
      throw thrown;
    } finally {
      this.#source.release(client, failure !== undefined && !isHarmless(failure));
    }
  }

  /**
   * Runs one statement.
   * @param stop when it aborts, the connection is cut: if the network drops packets, nothing else
   *   ends the statement
   * @throws as withClient
   */
  async query<Row extends pg.QueryResultRow>(
    text: string,
    values?: unknown[],
    stop?: AbortSignal,
  ): Promise<pg.QueryResult<Row>> {
    return this.withClient(async (client) => {
      stop?.throwIfAborted();
      const cut = () => destroySocket(client);
      stop?.addEventListener('abort', cut, { once: true });
      return client.query<Row>(text, values).finally(() => stop?.removeEventListener('abort', cut));
    });
  }

  /** Waits for work on a client, and cuts its connection if that takes longer than deadlineMs. */
  async guard<T>(client: pg.ClientBase, work: Promise<T>): Promise<T> {
    return this.#guard(client, work, this.#options.deadlineMs ?? TIMER_MS_MAX);
  }

  /**
   * Borrows a client for longer than a statement; return it with unkeep(). Undefined if too few
   * would be left for other statements, since at most half of them may be kept, or if a pooler
   * lends them for a transaction only.
   */
  async keep(): Promise<pg.PoolClient | undefined> {
    if (this.#kept >= Math.floor(this.#options.size / 2)) return undefined;
    this.#kept += 1;
    const client = await this.#borrowInPlace().catch((thrown: unknown) => {
      this.#kept -= 1;
      throw thrown;
    });
    if (!this.#pooled.has(client)) return client;
    this.unkeep(client, 'sound');
    return undefined;
  }

  unkeep(client: pg.PoolClient, state: 'sound' | 'broken'): void {
    this.#kept -= 1;
    this.#source.release(client, state === 'broken');
  }

  /** How often it has cut its connections. Work that failed in between failed because of that. */
  get resets(): number {
    return this.#resets;
  }

  /** Whether a pooler lends the client its connection for a transaction only. */
  isPooled(client: pg.ClientBase): boolean {
    return this.#pooled.has(client);
  }

  /**
   * Cuts every connection, permanently. Callers that wait for one, or ask for one later, get an
   * error.
   */
  shut(): void {
    this.#isShut = true;
    this.#refuse();
    this.reset();
  }

  /** Cuts every connection; running queries fail. The pool goes on with new connections. */
  reset(): void {
    this.#resets += 1;
    for (const client of this.#source.clients) destroySocket(client);
  }

  /**
   * Ends the pool and its connections; those of a program's pool are given back. Those that are
   * still in use after the grace time are cut, and not waited for.
   */
  async close(graceMs = 1000): Promise<void> {
    this.#isShut = true;
    this.#refuse();
    const cut = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      this.reset();
      cut.resolve();
    }, graceMs);
    await Promise.race([this.#source.close(), cut.promise]);
    clearTimeout(timer);
  }

  /** The settings that are pinned; undefined for sessions of the user. */
  get #settings(): Settings | undefined {
    const { sessions, settings } = this.#options;
    return sessions === 'user' ? undefined : { ...OWN_SETTINGS, ...settings };
  }

  /** A connection to the wrong place may be from before a failover: then a new one is right. */
  async #borrowInPlace(): Promise<pg.PoolClient> {
    for (let misled = 0; misled <= this.#options.size; misled++) {
      const client = await this.#borrow();
      const place = this.#options.place?.() ?? null;
      if (place === null || this.#places.get(client) === place) return client;
      this.explainLoss(client);
      this.#source.release(client, true);
    }
    throw new PgwatchError('server_unsuitable', ASTRAY);
  }

  async #borrow(): Promise<pg.PoolClient> {
    if (this.#isShut) throw connectionError(new Error(SHUT), this.#options);
    const waiting = Promise.withResolvers<pg.PoolClient>();
    this.#waiting.add(waiting);
    this.#source.connect().then(
      (client) => {
        // Too late if the pool was shut in the meantime.
        if (this.#waiting.delete(waiting)) waiting.resolve(client);
        else this.#source.release(client, true);
      },
      (thrown) => {
        this.#waiting.delete(waiting);
        waiting.reject(connectionError(thrown, this.#options));
      },
    );
    return waiting.promise;
  }

  /** node-postgres's pool would leave them waiting forever. */
  #refuse(): void {
    for (const waiting of this.#waiting) {
      waiting.reject(connectionError(new Error(SHUT), this.#options));
    }
    this.#waiting.clear();
  }

  /** Runs after connecting, because poolers refuse settings in the startup message. */
  async #prepare(client: pg.ClientBase): Promise<void> {
    if (this.#isShut) throw new Error(SHUT);
    const settings = this.#settings;
    const { isPooled, place } = await readServing(client);
    this.#places.set(client, place);
    if (isPooled) {
      this.#pooled.add(client);
      forgetNames(client);
    } else if (settings) {
      await client.query(settingsSql(settings, 'session'));
    }
  }

  async #guard<T>(client: pg.ClientBase, work: Promise<T>, deadlineMs: number): Promise<T> {
    const timer = setTimeout(() => destroySocket(client), deadlineMs);
    // Work on a lost connection may never settle: the timer must not keep the process alive.
    timer.unref();
    return work.finally(() => clearTimeout(timer));
  }
}

/** A server that has become read-only is no longer the primary; a new connection may reach it. */
function isHarmless(failure: Error): boolean {
  return isStatementError(failure) && errorCodeOf(failure) !== SQLSTATE.readOnlyTransaction;
}

const SHUT = 'the pool is shut';
const ASTRAY =
  'Connections made with url reach a different server or database than the one used for LISTEN ' +
  '(directUrl if set, otherwise an earlier connection with url). Point both at the same database ' +
  'on the primary.';
