import { randomUUID } from 'node:crypto';
import type { Client, Notification } from 'pg';
import type { Config } from '../../config/define.ts';
import {
  type Backend,
  readBackend,
  requirePrimary,
  terminateBackend,
} from '../../database/backend.ts';
import { connect, destroySocket, isStatementError } from '../../database/connect.ts';
import { listenOn } from '../../database/listen.ts';
import { isPassing } from '../../database/passing.ts';
import { keepsSession, readServing } from '../../database/pooler.ts';
import { OWN_SETTINGS, pinSettings } from '../../database/settings.ts';
import { SQLSTATE } from '../../database/sqlstate.ts';
import { beginWith, withTransaction } from '../../database/transaction.ts';
import { toError } from '../../errors.ts';
import { backoffMs, sleep, withDeadline } from '../../time.ts';
import { Bell, Turns } from '../../waiting.ts';

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
  readonly #turns = new Turns();
  #backend: Backend | null = null;
  #place: string | null = null;
  #hasSession = false;
  #isListening = false;
  #isClosing = false;
  #hasCrashed = false;

  private constructor(client: Client, config: Config) {
    this.#client = client;
    this.#config = config;
    client.on('error', (error) => this.#lose(error));
    client.on('end', () => this.#lose(new Error('the server closed the connection')));
    client.on('notification', ({ payload }) => this.#ring(payload));
    client.on('notice', ({ code }) => {
      this.#hasCrashed ||= code === SQLSTATE.crashShutdown;
    });
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
      control.#place = (await readServing(client)).place;
      control.#hasSession = await keepsSession(client, options);
      if (!control.#hasSession) return control;
      await control.run(() => pinSettings(client, KEEPALIVES));
      if (predecessor) {
        await control.run(() => terminateBackend(client, predecessor, APPLICATION));
      }
      control.#backend = await control.run(readBackend);
      return control;
    } catch (thrown) {
      await control.close();
      throw thrown;
    }
  }

  /**
   * Whether session locks, settings and LISTEN last. Not behind a pooler that lends a connection
   * for one transaction: there they would be left to whoever borrows it next.
   */
  get hasSession(): boolean {
    return this.#hasSession;
  }

  /** True once a round trip has proved that the doorbell is heard. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** Which database of which server it leads to, as readServing() says; null before it is known. */
  get place(): string | null {
    return this.#place;
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

  /** True where it was lost because another process of the server had crashed. */
  get hasCrashed(): boolean {
    return this.#hasCrashed;
  }

  /** True where it still works a moment after something else was lost. */
  async isAlive(): Promise<boolean> {
    const check = () => this.#checkAlive().catch((thrown: unknown) => this.#lose(toError(thrown)));
    await check();
    // A server that ends all its connections does not do so at once.
    await sleep(ALIVE_MS, this.lost);
    if (!this.isClosed) await check();
    return !this.isClosed;
  }

  /** True once nothing can be done with it any more. */
  get isClosed(): boolean {
    return this.#isClosing || this.#lost.signal.aborted;
  }

  /**
   * Runs the work alone on the connection, after what was asked for before; again where a statement
   * of it was canceled, or the like, since the connection lives.
   */
  async run<T>(work: (client: Client) => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#runOnce(work);
      } catch (thrown) {
        if (!isKilled(thrown) || failures > FAILURES_MAX || this.isClosed) throw thrown;
        // Not within its turn: the heartbeat has to get through meanwhile.
        await sleep(backoffMs(failures, { baseMs: 20, capMs: 500 }), this.lost);
      }
    }
  }

  async #runOnce<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return this.#turns.take(() =>
      this.#hasSession
        ? work(this.#client)
        : withTransaction(this.#client, work, beginWith(OWN_SETTINGS)),
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
      await this.run((client) => listenOn(client, [schema, ...channels], token));
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
    const checking = this.#turns
      .take(() => requirePrimary(this.#client))
      .catch((thrown: unknown) => {
        // That it was canceled is an answer, too.
        if (!isKilled(thrown)) throw thrown;
      });
    await withDeadline(checking, heartbeatDeadlineMs, () => {
      return new SilenceError(`the server did not answer within ${heartbeatDeadlineMs} ms`);
    });
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

/** True for a statement that was killed, and not its connection. */
function isKilled(thrown: unknown): boolean {
  return isStatementError(thrown) && isPassing(thrown);
}

const APPLICATION = 'pgwatch control';
/**
 * How the server finds out that a machine is gone, and its locks with it: by default after two
 * hours.
 */
const KEEPALIVES = {
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
};
const PROBE_MS_MAX = 3000;
const ALIVE_MS = 100;
/** For some seconds. */
const FAILURES_MAX = 20;
