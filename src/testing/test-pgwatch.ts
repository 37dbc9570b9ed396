import { randomBytes } from 'node:crypto';
import type { Config } from '../config/define.ts';
import type { ConsumerDefinition } from '../consumers/define.ts';
import { withConnection } from '../database/connect.ts';
import { directTarget } from '../database/target.ts';
import { createTestSchema, dropTestSchemas } from '../database/test-schemas.ts';
import { PgwatchError } from '../errors.ts';
import { makeDue } from '../log/by-hand/due-now.ts';
import type { Notification } from '../log/notification.ts';
import type { NewNotification } from '../log/publish.ts';
import { readAll } from '../log/read-all.ts';
import { withAccess } from '../service/access.ts';
import { createPgwatch } from '../service/create.ts';
import { checkGiven, configOf, type PgwatchOptions } from '../service/options.ts';
import type { Pgwatch } from '../service/pgwatch.ts';
import { type FailedAttempt, Recording } from './recording.ts';
import { SILENT } from './silent.ts';

/** What a consumer has made of the notifications it was given. */
export type Drained = {
  /** Those that it handled, in the order in which it did. */
  handled: Notification[];
  /** The attempts that failed, in order. */
  failed: FailedAttempt[];
  /** Those that became dead letters, in order of id. */
  dead: { id: number; attempts: number; error: string }[];
};

/**
 * A pgwatch for one test: its log is in a schema of its own, so tests that run side by side see
 * nothing of each other. Close it at the end: that drops the schema.
 */
export class TestPgwatch implements AsyncDisposable {
  /** Publishes and runs consumers, in the schema of the test. */
  readonly pgwatch: Pgwatch;
  /** Options for createPgwatch() in the code under test, or for a config. */
  readonly options: PgwatchOptions & { url: string; schema: string; apiSchema: string };
  readonly #config: Config;

  private constructor(options: TestPgwatch['options'], config: Config) {
    this.options = options;
    this.#config = config;
    this.pgwatch = createPgwatch(options);
  }

  /**
   * Creates the schema, and installs pgwatch there.
   * @param options.url the database; further options as for createPgwatch()
   * @throws PgwatchError connection_failed, config_invalid, permission_denied
   */
  static async open(options: PgwatchOptions & { url: string }): Promise<TestPgwatch> {
    const schema = `pgwatch_test_${randomBytes(6).toString('hex')}`;
    const apiSchema = `${schema}_api`;
    const url = withSearchPath(options.url, apiSchema);
    const reporter = options.reporter ?? SILENT;
    const own = { pollInterval: '50ms', ...options, url, schema, apiSchema, reporter };
    const config = await configOf(checkGiven(own));
    await withConnection(directTarget(config), (client) => createTestSchema(client, config));
    const test = new TestPgwatch(own, config);
    await test.pgwatch.migrate();
    return test;
  }

  /** The database, with the schema of the test on the search path, for SQL that publishes. */
  get url(): string {
    return this.options.url;
  }

  /**
   * Runs a consumer until nothing is left for it: retries come at once, as if their time had
   * passed. What is in the log and has not been handled counts, too.
   * @param notifications published first; default none
   * @throws PgwatchError consumer_invalid; handler_failed if it asks to be called again for ever
   */
  async drain(
    consumer: ConsumerDefinition,
    notifications: readonly NewNotification[] = [],
  ): Promise<Drained> {
    await this.pgwatch.notifyMany(notifications);
    const { around } = this.options;
    const recording = new Recording('handleBatch' in consumer, around);
    const { id = '' } = consumer;
    await using pgwatch = createPgwatch({ ...this.options, around: recording.around });
    for (let round = 1; ; round += 1) {
      const listening = await pgwatch.listen([consumer], { once: true });
      await listening.done.catch(unlessFailed);
      if ((await this.skipWaits(id)) === 0) break;
      if (round === ROUNDS_MAX) throw endless(id);
    }
    const dead = await this.pgwatch.deadLetters.list({ consumers: [id], limit: LIMIT });
    const { handled, failed } = recording;
    return {
      handled,
      failed,
      dead: dead
        .map(({ id, attempts, lastError }) => ({ id, attempts, error: lastError?.message ?? '' }))
        .sort((a, b) => a.id - b.id),
    };
  }

  /**
   * What was published in this test, in order.
   * @param channel a channel, or a pattern like 'orders.*'; default: all channels
   */
  async published(channel = '*'): Promise<Notification[]> {
    return withAccess(this.#config, { mode: 'read' }, (client, { schema }) =>
      readAll(client, schema, [channel]),
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

  /** Stops what runs here, and drops the schema with everything in it. */
  async close(): Promise<void> {
    await this.pgwatch.close();
    await withConnection(directTarget(this.#config), (client) =>
      dropTestSchemas(client, this.#config),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function unlessFailed(thrown: unknown): void {
  if (!(thrown instanceof PgwatchError) || thrown.code !== 'handler_failed') throw thrown;
}

function endless(id: string): PgwatchError {
  return new PgwatchError(
    'handler_failed',
    `${id} still waits for retries after ${ROUNDS_MAX} rounds: does it throw RetryAfter each time?`,
  );
}

function withSearchPath(url: string, schema: string): string {
  const own = new URL(url);
  const given = own.searchParams.get('options');
  const path = `-c search_path=${schema},public`;
  own.searchParams.set('options', given ? `${given} ${path}` : path);
  return own.href;
}

/** More than the attempts that a consumer has by default. */
const ROUNDS_MAX = 50;
const LIMIT = 1_000_000;
