import { once } from 'node:events';
import pg from 'pg';
import { Waiters } from '../waiting.ts';
import { OwnClient } from './connect.ts';
import { type ConnectOptions, clientOptions } from './target.ts';

/** Where a Pool has its connections from. */
export type PoolSource = {
  readonly pool: pg.Pool;
  /** The connections that may be cut. */
  readonly clients: ReadonlySet<pg.ClientBase>;
  /** Waits for a free connection for as long as it takes. It was prepared before its first use. */
  connect(): Promise<pg.PoolClient>;
  release(client: pg.PoolClient, isBroken: boolean): void;
  /** Gives all connections back, once they are free. */
  close(): Promise<void>;
};

export type SourceHooks = {
  /** Called with each connection before it is used for the first time. */
  prepare(client: pg.ClientBase): Promise<void>;
  onLoss(client: pg.ClientBase, error: Error): void;
  /** Called with errors on idle connections. */
  onError(error: Error): void;
};

/** A pool of connections of our own. */
export class OpenedPool implements PoolSource {
  readonly pool: pg.Pool;
  readonly clients = new Set<pg.ClientBase>();

  constructor(
    options: ConnectOptions & { size: number; sessions?: 'ours' | 'user' },
    { prepare, onLoss, onError }: SourceHooks,
  ) {
    const { clients } = this;
    const Base = options.sessions === 'user' ? pg.Client : OwnClient;
    // pg.Pool would also apply this limit to waiting for a free client, which may take long.
    const { connectionTimeoutMillis, ...clientConfig } = clientOptions(options);
    this.pool = new pg.Pool({
      ...clientConfig,
      max: options.size,
      // Registered when it is created, because connecting can hang too.
      Client: class extends Base {
        constructor(config: pg.ClientConfig = {}) {
          super({ ...config, connectionTimeoutMillis });
          clients.add(this);
          this.on('error', (error) => onLoss(this, error));
          this.once('end', () => clients.delete(this));
        }
      },
      onConnect: prepare,
    });
    this.pool.on('error', onError);
  }

  connect(): Promise<pg.PoolClient> {
    return this.pool.connect();
  }

  release(client: pg.PoolClient, isBroken: boolean): void {
    client.release(isBroken);
  }

  async close(): Promise<void> {
    await this.pool.end();
    // Only then do its clients end, and if the network drops packets, the server never answers.
    await Promise.allSettled([...this.clients].map((client) => once(client, 'end')));
  }
}

/** The pool of a program, which uses it for other things, too: it is neither changed nor ended. */
export class BorrowedPool implements PoolSource {
  readonly pool: pg.Pool;
  readonly clients = new Set<pg.ClientBase>();
  readonly #hooks: SourceHooks;
  readonly #prepared = new WeakSet<pg.ClientBase>();
  readonly #returned = new Waiters();

  constructor(pool: pg.Pool, hooks: SourceHooks) {
    this.pool = pool;
    this.#hooks = hooks;
    // Without a listener, the loss of an idle connection would end the process.
    pool.on('error', hooks.onError);
  }

  async connect(): Promise<pg.PoolClient> {
    const client = await this.pool.connect();
    this.clients.add(client);
    try {
      await this.#prepare(client);
      return client;
    } catch (thrown) {
      this.release(client, true);
      throw thrown;
    }
  }

  release(client: pg.PoolClient, isBroken: boolean): void {
    client.release(isBroken);
    this.clients.delete(client);
    this.#returned.check();
  }

  async close(): Promise<void> {
    this.pool.off('error', this.#hooks.onError);
    await this.#returned.until(() => this.clients.size === 0);
  }

  async #prepare(client: pg.PoolClient): Promise<void> {
    if (this.#prepared.has(client)) return;
    client.on('error', (error) => this.#hooks.onLoss(client, error));
    await this.#hooks.prepare(client);
    this.#prepared.add(client);
  }
}
