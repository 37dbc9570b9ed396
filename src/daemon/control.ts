import { randomUUID } from 'node:crypto';
import pg, { type Client, type Notification } from 'pg';
import type { Config } from '../config/define.ts';
import { connect, destroySocket, isStatementError } from '../database/connect.ts';
import { keepsSession } from '../database/pooler.ts';
import { beginWith, settingsSql, withTransaction } from '../database/transaction.ts';
import { PgwatchError, toError } from '../errors.ts';
import { sleep, withDeadline } from '../time.ts';
import { Bell } from './bell.ts';

/** The server's end of a connection. Its start too, because process ids are used again. */
export type Backend = { pid: number; startedAt: string };

/**
 * The control connection: it listens, holds the locks, and tells when it is lost. Whatever stands
 * on the locks ends with it, so everything that runs in a session runs until `lost` aborts.
 */
export class Control {
  /** Rings for notifications, or when they may be there. */
  readonly doorbell = new Bell();
  /** Rings when consumers may have no owner, or daemons have come or gone. */
  readonly owners = new Bell();
  /** Rings when a notification may be due again. */
  readonly retries = new Bell();
  readonly #client: Client;
  readonly #lost = new AbortController();
  readonly #closing = new AbortController();
  readonly #config: Config;
  #backend: Backend | null = null;
  #hasSession = false;
  #isListening = false;
  #isClosing = false;
  #idle: Promise<unknown> = Promise.resolve();

  private constructor(client: Client, config: Config) {
    this.#client = client;
    this.#config = config;
    client.on('error', (error) => this.#lose(error));
    client.on('end', () => this.#lose(new Error('the server closed the connection')));
    client.on('notification', ({ payload }) => this.#ring(payload));
  }

  /**
   * Connects to the primary, where the server may still believe in the connection before: that one
   * holds the locks of the consumers for as long.
   * @throws PgwatchError connection_failed, server_unsuitable
   */
  static async open(config: Config, predecessor: Backend | null): Promise<Control> {
    const url = config.directUrl ?? config.url;
    const options = { url, tls: config.tls, applicationName: APPLICATION };
    const client = await connect(options);
    const control = new Control(client, config);
    void control.#runHeartbeat();
    try {
      await control.#checkAlive();
      control.#hasSession = await keepsSession(client, options);
      if (!control.#hasSession) return control;
      await control.run(() => client.query(settingsSql(SESSION_SETTINGS, 'session')));
      if (predecessor) await control.#terminate(predecessor);
      await control.#readBackend();
      return control;
    } catch (thrown) {
      await control.close();
      throw thrown;
    }
  }

  /**
   * Whether session locks, settings and LISTEN last. Not behind a pooler that lends a connection for
   * one transaction: there they would be left to whoever borrows it next.
   */
  get hasSession(): boolean {
    return this.#hasSession;
  }

  /** True once a round trip has proved that the doorbell is heard. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** The server's end of it; null before it is known, and where it changes. */
  get backend(): Backend | null {
    return this.#backend;
  }

  /** Aborts, with the reason, when the connection no longer works. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** True where the connection was given up because the other end had fallen silent. */
  get isSilent(): boolean {
    return this.lost.reason instanceof SilenceError;
  }

  /** True once nothing can be done with it any more. */
  get isClosed(): boolean {
    return this.#isClosing || this.#lost.signal.aborted;
  }

  /** Runs the work alone on the connection, after what was asked for before. */
  async run<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return this.#runAlone((client) =>
      this.#hasSession ? work(client) : withTransaction(client, work, beginWith(SEARCH_PATH)),
    );
  }

  /**
   * Listens for the doorbell and on the channels, and proves by a round trip that it works. Only
   * where hasSession.
   * @returns null, or why it does not: as with a full queue
   */
  async listen(channels: readonly string[]): Promise<string | null> {
    const { schema } = this.#config;
    const token = `probe ${randomUUID()}`;
    const heard = Promise.withResolvers<void>();
    const onNotification = ({ payload }: Notification) => payload === token && heard.resolve();
    this.#client.on('notification', onNotification);
    try {
      await this.run(async (client) => {
        for (const channel of [schema, ...channels]) {
          await client.query(`listen ${pg.escapeIdentifier(channel)}`);
        }
        await client.query('select pg_notify($1, $2)', [schema, token]);
      });
      // The time runs from here, because a slow server is late with the statements too.
      const onSilence = () => new SilenceError('nothing is heard');
      await withDeadline(heard.promise, PROBE_MS_MAX, onSilence);
      this.#isListening = true;
      return null;
    } catch (thrown) {
      if (isStatementError(thrown) || thrown instanceof SilenceError)
        return toError(thrown).message;
      throw thrown;
    } finally {
      this.#client.off('notification', onNotification);
    }
  }

  /** Gives the connection up, whatever still runs on it. */
  abandon(): void {
    this.#lose(new Error('the daemon has waited long enough for it'));
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#closing.abort();
    await withDeadline(this.#client.end(), 1000, () => new Error('no answer')).catch(() => {});
    destroySocket(this.#client);
  }

  async #runAlone<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const running = this.#idle.then(() => work(this.#client));
    this.#idle = running.catch(() => {});
    return running;
  }

  async #readBackend(): Promise<void> {
    const { rows } = await this.run((client) =>
      client.query<Backend>(
        `select pid, backend_start::text as "startedAt" from pg_stat_activity
         where pid = pg_backend_pid()`,
      ),
    );
    this.#backend = rows[0] ?? null;
  }

  /** Ends a backend that still holds locks. Without any it may serve another client of a pooler. */
  async #terminate({ pid, startedAt }: Backend): Promise<void> {
    await this.run((client) =>
      client.query(
        `select pg_terminate_backend(pid, 1000) from pg_stat_activity
         where pid = $1 and backend_start::text = $2 and application_name = $3
           and exists (select from pg_locks where pg_locks.pid = $1 and locktype = 'advisory')`,
        [pid, startedAt, APPLICATION],
      ),
    );
  }

  /**
   * Checks the connection again and again, from the first moment on: what is asked at the start can
   * hang like anything later.
   */
  async #runHeartbeat(): Promise<void> {
    const ended = AbortSignal.any([this.lost, this.#closing.signal]);
    while (!ended.aborted) {
      await sleep(this.#config.heartbeatIntervalMs, ended);
      if (ended.aborted) return;
      try {
        await this.#checkAlive();
      } catch (thrown) {
        this.#lose(toError(thrown));
      }
    }
  }

  async #checkAlive(): Promise<void> {
    const { heartbeatDeadlineMs } = this.#config;
    // The deadline is ours: the kernel of a half-open connection's other end may go on answering.
    await withDeadline(this.#requirePrimary(), heartbeatDeadlineMs, () => {
      return new SilenceError(`the server did not answer within ${heartbeatDeadlineMs} ms`);
    });
  }

  async #requirePrimary(): Promise<void> {
    const { rows } = await this.#runAlone((client) =>
      client.query<{ is_standby: boolean; is_read_only: boolean }>(
        `select pg_is_in_recovery() as is_standby,
           current_setting('transaction_read_only')::boolean as is_read_only`,
      ),
    );
    if (rows[0]?.is_standby) {
      throw new PgwatchError(
        'server_unsuitable',
        'The server is a standby: the log is written and read on the primary. Connect to the primary.',
      );
    }
    if (rows[0]?.is_read_only) {
      throw new PgwatchError(
        'server_unsuitable',
        'The server only reads (default_transaction_read_only), and positions must be saved. Connect to the primary, or let the role write.',
      );
    }
  }

  /** What is said is a hint where to look, and never believed: anybody can say it. */
  #ring(payload: string | undefined): void {
    if (payload === 'pgwatch:owners') this.owners.ring();
    else if (payload === 'pgwatch:retry') this.retries.ring();
    else this.doorbell.ring();
  }

  #lose(error: Error): void {
    if (this.#lost.signal.aborted || this.#isClosing) return;
    this.#lost.abort(error);
    destroySocket(this.#client);
  }
}

class SilenceError extends Error {}

const APPLICATION = 'pgwatch control';
/** Nobody else's functions are called, whatever others have put into schema public. */
const SEARCH_PATH = { search_path: 'pg_catalog, pg_temp' };
/**
 * How the server finds out that a machine is gone, and its locks with it: by default after two
 * hours.
 */
const SESSION_SETTINGS = {
  ...SEARCH_PATH,
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
};
const PROBE_MS_MAX = 3000;
