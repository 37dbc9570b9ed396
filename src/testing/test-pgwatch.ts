import { randomBytes } from 'node:crypto';
import type { Config } from '../config/define.ts';
import type { AnyChannels } from '../consumers/channels.ts';
import type { ConsumerDefinition } from '../consumers/define.ts';
import { definedConsumers } from '../consumers/defined.ts';
import { hooksOf } from '../consumers/hooks.ts';
import { withConnection } from '../database/connect.ts';
import { directTarget } from '../database/target.ts';
import { createTestSchema, dropTestSchemas } from '../database/test-schemas.ts';
import { takeForTest } from '../log/api-schema.ts';
import { makeDue } from '../log/by-hand/due-now.ts';
import type { Notification } from '../log/notification.ts';
import type { NewNotification } from '../log/publish.ts';
import { readAll } from '../log/read-all.ts';
import { withAccess } from '../service/access.ts';
import { createPgwatch } from '../service/create.ts';
import { checkGiven, configOf } from '../service/options.ts';
import type { Pgwatch } from '../service/pgwatch.ts';
import type { Drained, ReceivedBy } from './drained.ts';
import type { OnChannels } from './on-channels.ts';
import { plain } from './plain.ts';
import { Recording } from './recording.ts';
import { runToEnd } from './run-to-end.ts';
import { type TestOptions, type TestPgwatchOptions, testOptions } from './test-options.ts';

/**
 * A TestPgwatch that knows its channels, as defineChannels() returns them, and the payloads on
 * them: TestPgwatchOn<typeof channels>.
 */
export type TestPgwatchOn<Given extends AnyChannels> = Omit<
  TestPgwatch,
  keyof OnChannels<AnyChannels>
> &
  OnChannels<Given>;

/**
 * A pgwatch for one test: its log is in a schema of its own, so tests that run side by side see
 * nothing of each other. notify() and the like publish there, too, while it is the only one that is
 * open in the process. Close it at the end: that drops the schema.
 */
export class TestPgwatch implements AsyncDisposable {
  /** Publishes and runs consumers, in the schema of the test. */
  readonly pgwatch: Pgwatch;
  /** Options for createPgwatch() in the code under test, or for a config. */
  readonly options: TestOptions;
  readonly #config: Config;
  readonly #release: () => void;

  private constructor(options: TestOptions, config: Config) {
    this.options = options;
    this.#config = config;
    this.pgwatch = createPgwatch(options);
    this.#release = takeForTest(options.apiSchema);
  }

  /**
   * Creates the schema, and installs pgwatch there.
   * @param options as for createPgwatch(), except pool and the schemas; url is the database, by
   *   default that of DATABASE_URL
   * @throws PgwatchError connection_failed, config_invalid, permission_denied
   */
  static async open<Given extends AnyChannels>(
    options: TestPgwatchOptions & { channels: Given },
  ): Promise<TestPgwatchOn<Given>>;
  static async open(options?: TestPgwatchOptions): Promise<TestPgwatch>;
  static async open(options: TestPgwatchOptions = {}): Promise<object> {
    const schema = `pgwatch_test_${randomBytes(6).toString('hex')}`;
    const own = await testOptions(options, schema);
    const config = await configOf(checkGiven(own));
    await withConnection(directTarget(config), (client) => createTestSchema(client, config));
    const test = new TestPgwatch(own, config);
    try {
      await test.pgwatch.migrate();
    } catch (thrown) {
      await test.close();
      throw thrown;
    }
    return test;
  }

  /**
   * The database, with the schema of the test first on the search path: SQL publishes there, and
   * tables that are created without a schema are in it, and dropped with it.
   */
  get url(): string {
    return this.options.url;
  }

  /**
   * Runs a consumer until nothing is left for it: retries come at once, as if their time had
   * passed. What is in the log and has not been handled counts, too, whatever its option from says.
   * @param notifications published first; default none
   * @throws PgwatchError consumer_invalid; handler_failed if it asks to be called again for ever
   */
  async drain<Definition extends ConsumerDefinition>(
    consumer: Definition,
    notifications: readonly NewNotification[] = [],
  ): Promise<Drained<ReceivedBy<Definition>>> {
    // Before anything is published.
    definedConsumers([consumer]);
    await this.pgwatch.notifyMany(notifications);
    const { id = '' } = consumer;
    const recording = new Recording('handleBatch' in consumer, hooksOf(this.#config));
    const { around, onDead } = recording;
    const pgwatch = createPgwatch({ ...this.options, around, onDead });
    const fromStart = { ...consumer, from: 'start' as const };
    await runToEnd(pgwatch, fromStart, () => this.skipWaits(id)).finally(() => pgwatch.close());
    // The recording does not know what the consumer receives.
    return recording.drained as Drained<ReceivedBy<Definition>>;
  }

  /**
   * What was published in this test, in order.
   * @param channel a channel, or a pattern like 'orders.*'; default: all channels
   * @throws PgwatchError consumer_invalid if there are channels, and it is not one of them
   */
  async published(channel = '*'): Promise<Notification[]> {
    this.options.channels?.requireKnown([channel]);
    return withAccess(this.#config, { mode: 'read' }, async (client, { schema }) =>
      (await readAll(client, schema, [channel])).map(plain),
    );
  }

  /**
   * Lets the time pass for which retries wait: running consumers get them at once.
   * @param consumerId default: all consumers
   * @returns how many wait
   */
  async skipWaits(consumerId: string | null = null): Promise<number> {
    return withAccess(this.#config, { mode: 'change' }, (client, { schema }) =>
      makeDue(client, schema, consumerId),
    );
  }

  /**
   * Stops what runs in pgwatch, and drops the schema with everything in it.
   * @throws PgwatchError table_locked if a transaction that was left open uses it
   */
  async close(): Promise<void> {
    this.#release();
    await this.pgwatch.close();
    await withConnection(directTarget(this.#config), (client) =>
      dropTestSchemas(client, this.#config),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
