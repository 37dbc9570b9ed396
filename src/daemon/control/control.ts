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
import { directTarget } from '../../database/target.ts';
import { beginWith, withTransaction } from '../../database/transaction.ts';
import { toError } from '../../errors.ts';
import { isPattern } from '../../log/channels.ts';
import { backoffMs, sleep, withDeadline } from '../../time.ts';
import { Bell, Turns } from '../../waiting.ts';

/**
 * The control connection: it listens, holds the locks, and tells when it is lost. The locks end
 * with it, so everything in a session runs only until `lost` aborts.
 */
export class Control {
  /** Rings when there may be new notifications. */
  readonly doorbell = new Bell();
  /** Rings when consumers may be without an owner, or daemons have come or gone. */
  readonly owners = new Bell();
  /** Rings when a retry may be due. */
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
   * Connects to the primary. Ends the predecessor there: the server may still consider that
   * connection alive, and it would hold the locks of the consumers.
   * @throws PgwatchError connection_failed, server_unsuitable
   */
  static async open(config: Config, predecessor: Backend | null): Promise<Control> {
    const options = { ...directTarget(config), applicationName: APPLICATION };
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
   * Whether session locks, settings and LISTEN persist. Not with a pooler that lends a connection
   * for one transaction: they would be left to the next borrower.
   */
  get hasSession(): boolean {
    return this.#hasSession;
  }

  /** True once a round trip has proved that LISTEN works. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** Which database of which server it is connected to, from readServing(); null until known. */
  get place(): string | null {
    return this.#place;
  }

  /**
   * The server process of the connection; null until known, and with a pooler, where it changes.
   */
  get backend(): Backend | null {
    return this.#backend;
  }

  /** Aborts, with the reason, when the connection no longer works. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** True if the connection was closed because the server had stopped answering. */
  get isSilent(): boolean {
    return this.lost.reason instanceof SilenceError;
  }

  /** True if it was lost because another server process had crashed. */
  get hasCrashed(): boolean {
    return this.#hasCrashed;
  }

  /** True if it still works a moment after another connection was lost. */
  async isAlive(): Promise<boolean> {
    const check = () => this.#checkAlive().catch((thrown: unknown) => this.#lose(toError(thrown)));
    await check();
    // A server that ends all its connections does not end them all at once.
    await sleep(ALIVE_MS, this.lost);
    if (!this.isClosed) await check();
    return !this.isClosed;
  }

  /** True once it can no longer be used. */
  get isClosed(): boolean {
    return this.#isClosing || this.#lost.signal.aborted;
  }

  /**
   * Runs the work exclusively on the connection, after earlier requests. Runs it again if one of
   * its statements is canceled or the like, since the connection is still alive.
   */
  async run<T>(work: (client: Client) => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#runOnce(work);
      } catch (thrown) {
        if (!isKilled(thrown) || failures > FAILURES_MAX || this.isClosed) throw thrown;
        // Waits outside its turn, so that the heartbeat gets through meanwhile.
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
   * Listens for the doorbell and on the channels, and proves by a round trip that it works.
   * Requires hasSession.
   * @returns null, or why it does not work, for example because the queue is full
   */
  async listen(channels: readonly string[]): Promise<string | null> {
    const { schema } = this.#config;
    const token = `probe ${randomUUID()}`;
    // Whoever publishes rings on the doorbell's own channel for those who read patterns.
    const names = channels.filter((channel) => !isPattern(channel));
    const heard = Promise.withResolvers<void>();
    const onNotification = ({ payload }: Notification) => payload === token && heard.resolve();
    this.#client.on('notification', onNotification);
    try {
      await this.run((client) => listenOn(client, [schema, ...names], token));
      // The time runs from here, because a slow server also takes long for the statements before.
      const onSilence = () => new SilenceError('no notification arrives');
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

  /** Closes the connection, whatever still runs on it. */
  abandon(): void {
    this.#lose(new Error('the daemon stopped waiting for it'));
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#closing.abort();
    await withDeadline(this.#client.end(), 1000, () => new Error('no answer')).catch(() => {});
    destroySocket(this.#client);
  }

  /**
   * Checks the connection periodically from the very start: the first statements can hang like
   * later ones.
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
    // Our own deadline, because the kernel at the other end of a half-open connection may keep
    // answering.
    const checking = this.#turns
      .take(() => requirePrimary(this.#client))
      .catch((thrown: unknown) => {
        // A cancellation is an answer, too.
        if (!isKilled(thrown)) throw thrown;
      });
    await withDeadline(checking, heartbeatDeadlineMs, () => {
      return new SilenceError(`the server did not answer within ${heartbeatDeadlineMs} ms`);
    });
  }

  /** A payload is only a hint where to look, and never trusted: any session can send one. */
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

/** True if only the statement was killed, not its connection. */
function isKilled(thrown: unknown): boolean {
  return isStatementError(thrown) && isPassing(thrown);
}

const APPLICATION = 'pgwatch control';
/**
 * Makes the server notice soon that a machine is gone, and release its locks: by default that takes
 * two hours.
 */
const KEEPALIVES = {
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
};
const PROBE_MS_MAX = 3000;
const ALIVE_MS = 100;
/** Reached after some seconds. */
const FAILURES_MAX = 20;
