import type { Config } from '../config/define.ts';
import type { Consumer } from '../consumers/define.ts';
import type { PublishClient } from '../database/query-rows.ts';
import { PgwatchError } from '../errors.ts';
import { isObject, shown } from '../kinds.ts';
import {
  type NewNotification,
  notify,
  notifyMany,
  PUBLISH_OPTIONS,
  type PublishOptions,
} from '../log/publish.ts';
import { givenOptions } from '../log/publish-checks.ts';
import type { Reporter } from '../reporter.ts';
import { inputInvalid } from './checked-options.ts';
import type { Delivery } from './delivery.ts';
import { type EveryProcessOptions, everyProcess } from './every-process/options.ts';
import { ProcessSubscription } from './every-process/subscription.ts';
import { LateReporter } from './late-reporter.ts';
import { type GivenConsumers, givenConsumers, listenOptions } from './listen-arguments.ts';
import type { Listening, ListenOptions } from './listening.ts';
import { Operations } from './operations.ts';
import { checkGiven, configOf, type Given, type PgwatchOptions } from './options.ts';
import { Publisher } from './publisher.ts';
import type { SubscribeOptions } from './subscribe-options.ts';
import { type Start, Subscription } from './subscription.ts';

/** What close() stops. */
type Running = { stop(): Promise<void> };

/** Where a notification is published. */
export type InTransaction = {
  /**
   * A pg client with an open transaction, or one of another library (see pgwatch/adapters), of
   * which the notification becomes part.
   */
  client?: PublishClient;
};

/**
 * Everything that pgwatch does, inside a program. Nothing is connected before it is needed.
 * It reports to the reporter given, writes nothing to stdout, handles no signals, and never ends
 * the process.
 */
export class Pgwatch extends Operations implements AsyncDisposable {
  readonly #given: Given;
  readonly #reporter: Reporter;
  /** What runs each consumer. */
  readonly #running = new Map<string, Running>();
  readonly #following = new Set<ProcessSubscription>();
  readonly #publisher: Publisher;
  #config: Promise<Config> | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  /** @throws PgwatchError config_invalid */
  constructor(options: PgwatchOptions = {}) {
    super();
    this.#given = checkGiven(options);
    this.#reporter = this.#given.reporter ?? new LateReporter();
    this.#publisher = new Publisher(this.#given.pool, this.#reporter, () => this.complete());
  }

  /**
   * Creates or updates the tables, like "pgwatch migrate".
   * @returns the migrations that were applied
   */
  async migrate(): Promise<{ number: number; name: string }[]> {
    const { migrateUp } = await import('../database/migrate.ts');
    const report = (what: string) => this.#reporter.info(`Restored ${what}.`);
    const applied = await this.run({ mode: 'bare' }, (client, config) =>
      migrateUp(client, config, report),
    );
    return applied.map(({ number, name }) => ({ number, name }));
  }

  /** The migrations, and which of them are applied. */
  async migrationStatus() {
    const { readMigrationStates } = await import('../database/migrate.ts');
    return this.run({ mode: 'bare' }, readMigrationStates);
  }

  /**
   * Publishes a notification.
   * @param channel 1 to 63 bytes
   * @param payload anything that JSON can hold
   * @param options.client a client with an open transaction: the notification is delivered if, and
   *   only if, it commits. Default: the notification is published at once.
   * @returns the notification's id
   * @throws PgwatchError channel_invalid, payload_invalid, input_invalid, event_id_taken,
   *   permission_denied, schema_missing; transaction_missing if client is a pool, or has not begun
   */
  async notify(
    channel: string,
    payload: unknown,
    options: PublishOptions & InTransaction = {},
  ): Promise<number> {
    const { client, ...published } = givenOptions(
      options,
      ['client', ...PUBLISH_OPTIONS],
      'notify()',
    );
    const { apiSchema } = await this.complete();
    await this.#given.channels?.check(channel, payload);
    return this.#publisher.publish(client, (to) =>
      notify(to, channel, payload, { ...published, apiSchema }),
    );
  }

  /**
   * Publishes many notifications in one statement, in the given order: all of them or none.
   * @returns their ids
   * @throws as notify
   */
  async notifyMany(
    notifications: readonly NewNotification[],
    options: InTransaction = {},
  ): Promise<number[]> {
    const { client } = givenOptions(options, ['client'], 'notifyMany()');
    const { apiSchema } = await this.complete();
    await this.#given.channels?.checkAll(notifications);
    return this.#publisher.publish(client, (to) => notifyMany(to, notifications, { apiSchema }));
  }

  /**
   * Runs consumers in this process: those given, or those in the files of a folder. They catch up
   * on what they have missed, then follow the log; connections that are lost are opened again.
   * @throws PgwatchError consumer_invalid, input_invalid; consumer_running if one of them already
   *   runs here
   */
  async listen(consumers: GivenConsumers, options: ListenOptions = {}): Promise<Listening> {
    const config = await this.complete();
    const checked = listenOptions(options);
    return this.#run(await givenConsumers(consumers), config, checked);
  }

  /**
   * Delivers notifications to a loop, instead of calling a handler:
   * `for await (const delivery of pgwatch.subscribe({ consumer: 'email', channels: ['orders'] }))`.
   * Each is settled by its ack() or nack(); one that is not counts as failed after the timeout.
   * @returns begins with the first step of the loop, and ends when it is left
   * @throws PgwatchError consumer_invalid, input_invalid; the first step throws as listen() does
   */
  subscribe<Payload = unknown>(
    options: SubscribeOptions<Payload> & { batch: number },
  ): Subscription<Payload, Delivery<Payload>[]>;
  subscribe<Payload = unknown>(
    options: SubscribeOptions<Payload> & { batch?: never },
  ): Subscription<Payload, Delivery<Payload>>;
  /**
   * With every: 'process', each process receives all notifications, and there is nothing to settle:
   * `for await (const { payload } of pgwatch.subscribe({ channels, every: 'process' }))`.
   */
  subscribe<Payload = unknown>(options: EveryProcessOptions): ProcessSubscription<Payload>;
  subscribe<Payload>(
    options: SubscribeOptions<Payload> | EveryProcessOptions,
  ):
    | Subscription<Payload, Delivery<Payload>>
    | Subscription<Payload, Delivery<Payload>[]>
    | ProcessSubscription<Payload> {
    this.#requireRunning();
    if (!isObject(options)) {
      throw inputInvalid(`subscribe() takes an object of options, not ${shown(options)}`);
    }
    const { channels } = this.#given;
    if (Array.isArray(options.channels)) channels?.requireKnown(options.channels);
    if ('every' in options) return this.#follow<Payload>(options);
    const { skipPlayback = false, batch } = options;
    const checked = channels ? { schema: channels, ...options } : options;
    const start: Start = async (consumer, signal) => {
      const config = await this.complete();
      // What is open when the loop is left is given back at once.
      const impatient = { ...config, shutdownTimeoutMs: 0 };
      const how = { signal, skipPlayback };
      const listening = await this.#run([consumer], impatient, how, subscription);
      return { listening, shutdownTimeoutMs: config.shutdownTimeoutMs };
    };
    const subscription =
      batch !== undefined
        ? new Subscription<Payload, Delivery<Payload>[]>(checked, start, (all) => all)
        : new Subscription(checked, start, ([only]) => only as Delivery<Payload>);
    return subscription;
  }

  #follow<Payload>(options: EveryProcessOptions): ProcessSubscription<Payload> {
    const given = everyProcess(options);
    const reporter = this.#reporter;
    const subscription: ProcessSubscription<Payload> = new ProcessSubscription(given, {
      reporter,
      open: async (follow) => {
        const config = await this.complete();
        const { Follower } = await import('./every-process/follower.ts');
        this.#requireRunning();
        this.#following.add(subscription);
        return new Follower({ config, reporter, ...follow });
      },
      onEnd: () => this.#following.delete(subscription),
    });
    return subscription;
  }

  /**
   * Stops the consumers and subscriptions that run here, each like its stop(), then closes all
   * connections. Until they have stopped, handlers can publish. The program's pool stays.
   */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const running = new Set([...this.#running.values(), ...this.#following]);
    await Promise.all([...running].map((each) => each.stop()));
    this.#isClosed = true;
    await this.#publisher.close();
  }

  async #run(
    consumers: readonly Consumer[],
    config: Config,
    options: ListenOptions,
    owner?: Running,
  ): Promise<Listening> {
    const { Listening } = await import('./listening.ts');
    this.#requireRunning();
    const twice = consumers.find(({ id }) => this.#running.has(id));
    if (twice) {
      throw new PgwatchError(
        'consumer_running',
        `${twice.id} already runs here: stop it first, or give the other consumer its own id.`,
      );
    }
    const { pool } = this.#given;
    const knownIds = [...this.#running.keys()];
    const reporter = this.#reporter;
    const begun = new Listening({ config, consumers, knownIds, reporter, pool }, options);
    for (const { id } of consumers) this.#running.set(id, owner ?? begun);
    const forget = () => {
      for (const { id } of consumers) this.#running.delete(id);
    };
    begun.done.then(forget, forget);
    return begun;
  }

  protected complete(): Promise<Config> {
    this.#requireOpen();
    this.#config ??= configOf(this.#given);
    return this.#config;
  }

  /** Once it is being closed, nothing begins to run. */
  #requireRunning(): void {
    if (this.#closing) throw new PgwatchError('closed', CLOSED);
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new PgwatchError('closed', CLOSED);
  }
}

const CLOSED = 'It has been closed: create another one with createPgwatch().';
