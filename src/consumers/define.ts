import type {
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryResult,
  QueryResultRow,
} from 'pg';
import type { Duration } from '../config/define.ts';
import type { Gap } from '../log/gap.ts';
import type { Notification } from '../log/notification.ts';
import type { From } from '../log/positions/progress.ts';
import type { Fields } from '../reporter.ts';
import type { StandardSchema } from './schema.ts';

/** Runs SQL, in the calling convention of pg: what takes a client of pg's can be given this. */
export type Database = {
  query<Row extends QueryResultRow = QueryResultRow>(
    query: string | QueryConfig,
    values?: unknown[],
  ): Promise<QueryResult<Row>>;
  query<Row extends unknown[] = unknown[]>(
    query: QueryArrayConfig,
    values?: unknown[],
  ): Promise<QueryArrayResult<Row>>;
  query<Row extends QueryResultRow = QueryResultRow>(
    query: string | QueryConfig,
    callback: (error: Error | null, result: QueryResult<Row>) => void,
  ): void;
  query<Row extends QueryResultRow = QueryResultRow>(
    query: string | QueryConfig,
    values: unknown[] | undefined,
    callback: (error: Error | null, result: QueryResult<Row>) => void,
  ): void;
};

/** What a handler is given besides the notification. */
export type ConsumerContext = {
  readonly consumerId: string;
  /**
   * Which call for the notification this is, from 1; those that asked for RetryAfter not counted.
   */
  readonly attempt: number;
  /**
   * Runs SQL over the daemon's pool; with `transaction: true` inside the transaction that moves the
   * position, which commits once the handler has returned; there it takes one statement at a time.
   */
  readonly db: Database;
  /**
   * Aborts when the handler's time is over, or the daemon stops and waits no longer: hand it to
   * fetch and the like.
   */
  readonly signal: AbortSignal;
  /** Prints what the handler has to say, with the consumer's id. */
  readonly reporter: {
    info(message: string, fields?: Fields): void;
    warn(message: string, fields?: Fields): void;
  };
};

/** How a notification is tried again when its handler throws. */
export type RetryOptions = {
  /**
   * How often the handler is called before the notification goes to the dead letters. Default 20.
   */
  attempts?: number;
  /**
   * The first wait, default '1s', doubled with each attempt up to 15 minutes, of which between half
   * and all is waited; or a function from the number of the failed attempt to the wait.
   */
  backoff?: Duration | ((attempt: number) => Duration);
};

/** What a consumer file exports by default. */
export type ConsumerDefinition<Payload = unknown> =
  | SingleDefinition<Payload>
  | BatchDefinition<Payload>;

type CommonDefinition<Payload> = {
  /** Names the consumer's position in the database. Default: the file's name. */
  id?: string;
  /** The channels whose notifications it gets, one or more. */
  channels: readonly string[];
  /**
   * Where it begins when it runs for the first time: 'start' (default) gets everything in the log,
   * 'now' only what is published from then on; or a notification's id (one to come
   * counts as 'now'), a Date, or a time as ISO 8601.
   */
  from?: 'start' | 'now' | number | Date | string;
  /**
   * 'key' (default): of one key one after the other, in order; while one fails, those behind it
   * wait. 'none': each for itself.
   */
  order?: 'key' | 'none';
  /** How many calls run side by side, at most, in each process. Default 1. Not with handleBatch. */
  concurrency?: number;
  retry?: RetryOptions;
  /** How long a call may take before it counts as failed. Default '5m'. */
  timeout?: Duration;
  /**
   * What a dead letter means for the others: 'continue' (default), or 'stop': nothing new is handed
   * out until somebody retries or discards it.
   */
  onDead?: 'continue' | 'stop';
  /**
   * True: what the handler writes through context.db commits together with the position, or not at
   * all, so that it happens exactly once. Default false.
   */
  transaction?: boolean;
  /**
   * 'one' (default): one process at a time runs it. 'shared': all that are alive split its work.
   */
  instances?: 'one' | 'shared';
  /** A Standard Schema (Zod, Valibot, ArkType, …): payloads that do not fit are dead letters. */
  schema?: StandardSchema<Payload>;
  /**
   * Told of notifications that were removed from the log before it had done them, as by "pgwatch
   * cleanup --force": it never gets those. Throwing has it told again, later, like a notification.
   * Default: the daemon reports a warning.
   */
  onGap?(gap: Gap, context: ConsumerContext): unknown;
};

/** A consumer that is called for one notification at a time. */
export type SingleDefinition<Payload = unknown> = CommonDefinition<Payload> & {
  /** Returning is success; throwing hands the notification to it again, later. */
  handle(notification: Notification<Payload>, context: ConsumerContext): unknown;
};

/** A consumer that is called for many notifications at once. */
export type BatchDefinition<Payload = unknown> = CommonDefinition<Payload> & {
  /**
   * The same for many at once, in order. Returning is success for all, unless it returns a list
   * with an Error (or what Promise.allSettled gives) in the place of each that failed. Where it
   * throws, all are called again, one by one.
   */
  handleBatch(notifications: Notification<Payload>[], context: ConsumerContext): unknown;
  /** How many it gets at once, at most. Default: what one read brings (maxBatchSize). */
  batchSize?: number;
};

/** A checked consumer, complete. */
export type Consumer = Readonly<{
  id: string;
  /** Those of its definition, and the one of its own (consumerChannel). */
  channels: readonly string[];
  from: From;
  /** As its file says it, to tell whether that has changed. */
  fromText: string;
  /** The sub-folder of the consumers folder that its file lies in; null directly in it. */
  app: string | null;
  file: string;
  order: 'key' | 'none';
  concurrency: number;
  attemptsMax: number;
  /** The wait after a failed attempt, in milliseconds. */
  backoffMs(attempt: number): number;
  timeoutMs: number;
  onDead: 'continue' | 'stop';
  isTransactional: boolean;
  isShared: boolean;
  schema: StandardSchema | null;
  /** False for a consumer with handle: what that returns is not a list of results. */
  isBatch: boolean;
  /** 1 for a consumer with handle. Null: as many as one read brings. */
  batchSize: number | null;
  handleBatch(notifications: Notification[], context: ConsumerContext): unknown;
  /** Null: the daemon reports gaps. */
  onGap: ((gap: Gap, context: ConsumerContext) => unknown) | null;
}>;

/**
 * Gives a consumer file its types. Returns what it is given, so a test can call its handle or
 * handleBatch.
 */
export function defineConsumer<Payload = unknown>(
  definition: SingleDefinition<Payload>,
): SingleDefinition<Payload>;
export function defineConsumer<Payload = unknown>(
  definition: BatchDefinition<Payload>,
): BatchDefinition<Payload>;
export function defineConsumer<Payload>(
  definition: ConsumerDefinition<Payload>,
): ConsumerDefinition<Payload> {
  return definition;
}
