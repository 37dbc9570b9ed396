import type { Pool } from 'pg';
import type { Duration } from '../config/define.ts';
import type { Gap } from '../log/gap.ts';
import type { Notification } from '../log/notification.ts';
import type { From } from '../log/positions/progress.ts';
import type { Fields } from '../reporter.ts';
import type { SchemaByChannel, StandardSchema } from './schema.ts';

/**
 * Runs SQL with the calling convention of pg. In form it is a pool, so libraries that take a pool
 * take it, too, and what they run belongs to the call. connect() lends a client that does the same,
 * and end() does nothing. It takes no transactions of their own, no cursors, no streams.
 */
export type Database = Pool;

/** The second argument of a handler. */
export type ConsumerContext = {
  readonly consumerId: string;
  /** The number of this attempt, from 1. Calls that threw RetryAfter do not count. */
  readonly attempt: number;
  /**
   * Runs SQL through the daemon's pool. With `transaction: true` it runs inside the transaction
   * that moves the position and commits after the handler has returned; it then takes one statement
   * at a time.
   */
  readonly db: Database;
  /**
   * Aborts when the handler's time is over, or when the daemon stops and no longer waits: pass it
   * to fetch and the like.
   */
  readonly signal: AbortSignal;
  /** Prints messages, with the consumer's id. */
  readonly reporter: {
    info(message: string, fields?: Fields): void;
    warn(message: string, fields?: Fields): void;
  };
};

/** What a call of a consumer can do about its time, and know about its consumer. */
export type CallLimits = {
  /** True once the consumer, or the lease, of the call belongs to another process. */
  readonly isFenced: boolean;
  /** Why the call's time is over; undefined while it is not. */
  readonly overReason: Error | undefined;
  /** Calls back, at once, when the time is over. Cheaper than asking for the signal. */
  onOver(callback: (reason: Error) => void): void;
  /** Lets the call take as long as it likes, until limit() is called. */
  unlimit(): void;
  /** Lets the call take this many milliseconds from now on. */
  limit(durationMs: number): void;
  /** Lets the call take at least this many milliseconds from now on. */
  extend(durationMs: number): void;
  /** Closes its db, and cuts off queries that still run; a transaction has an end of its own. */
  giveUp(): void;
  /** Ends the call without an outcome: the notification is delivered again, without an attempt. */
  abandon(reason: Error): void;
};

/** How a notification is retried when its handler throws. */
export type RetryOptions = {
  /** The number of attempts after which a notification becomes a dead letter. Default 20. */
  attempts?: number;
  /**
   * The first wait, doubled with each attempt up to 15 minutes; the actual wait is random, between
   * half of that and all of it. Default '1s'. Or a function from the number of the failed attempt
   * to the wait.
   */
  backoff?: Duration | ((attempt: number) => Duration);
};

/** The default export of a consumer file. */
export type ConsumerDefinition<Payload = unknown> =
  | SingleDefinition<Payload>
  | BatchDefinition<Payload>;

type CommonDefinition<Payload> = {
  /** Names the consumer's position in the database. Default: the file's name. */
  id?: string;
  /** The channels that it receives, one or more. */
  channels: readonly string[];
  /**
   * Where it begins when it runs for the first time: 'start' (default) delivers everything in the
   * log, 'now' only what is published from then on; or the id of a notification (a future one
   * counts as 'now'), a Date, or a time in ISO 8601 format.
   */
  from?: 'start' | 'now' | number | Date | string;
  /**
   * 'key' (default): notifications with the same key are delivered in order, one after the other;
   * while one fails, later ones wait. 'none': each is delivered independently.
   */
  order?: 'key' | 'none';
  /**
   * The maximum number of concurrent calls in each process. Default 1. Not with handleBatch or
   * transaction.
   */
  concurrency?: number;
  retry?: RetryOptions;
  /** How long a call may take before it counts as failed. Default '5m'. */
  timeout?: Duration;
  /**
   * What happens after a dead letter: 'continue' (default), or 'stop': no new notifications are
   * delivered until it is retried or discarded.
   */
  onDead?: 'continue' | 'stop';
  /**
   * True: what the handler writes through context.db commits together with the position, or not at
   * all, so its effects happen exactly once. Default false.
   */
  transaction?: boolean;
  /** 'one' (default): one process at a time runs it. 'shared': all processes split its work. */
  instances?: 'one' | 'shared';
  /**
   * A Standard Schema (Zod, Valibot, ArkType, …), or what defineChannels() returns: notifications
   * whose payload does not match become dead letters.
   */
  schema?: StandardSchema<Payload> | SchemaByChannel;
  /**
   * Called for notifications that were removed from the log before this consumer handled them, for
   * example by "pgwatch cleanup --force": they are never delivered. If it throws, it is called
   * again later, like a handler. Default: the daemon reports a warning.
   */
  onGap?(gap: Gap, context: ConsumerContext): unknown;
  /** Surrounds each call of the handler. Default: nothing does. */
  around?: Around;
};

/**
 * Surrounds a call of a handler, for example with AsyncLocalStorage, a trace, or "set local" for
 * row level security: it does what it likes, and has to make the call, once. The outcome of the
 * call counts, whatever it returns; if it throws, the call has failed.
 */
export type Around = (
  call: () => Promise<unknown>,
  scope: { notifications: readonly Notification[]; context: ConsumerContext },
) => unknown;

/** A consumer that is called for one notification at a time. */
export type SingleDefinition<Payload = unknown> = CommonDefinition<Payload> & {
  /** Returning is success; if it throws, the notification is delivered again later. */
  handle(notification: Notification<Payload>, context: ConsumerContext): unknown;
};

/** A consumer that is called for many notifications at once. */
export type BatchDefinition<Payload = unknown> = CommonDefinition<Payload> & {
  /**
   * Handles many notifications at once, in order. Returning is success for all, unless it returns a
   * list with an Error (or a result of Promise.allSettled) in the place of each that failed. If it
   * throws, all are delivered again, one by one.
   */
  handleBatch(notifications: Notification<Payload>[], context: ConsumerContext): unknown;
  /** The maximum number per call. Default: as many as one read returns (maxBatchSize). */
  batchSize?: number;
};

/** A checked consumer, complete. */
export type Consumer = Readonly<{
  id: string;
  /** The channels of its definition, and its own (consumerChannel). */
  channels: readonly string[];
  from: From;
  /** As in its file, to detect changes. */
  fromText: string;
  /** The sub-folder of the consumers folder that contains its file; null if there is none. */
  app: string | null;
  /** Null if its program has defined it. */
  file: string | null;
  order: 'key' | 'none';
  concurrency: number;
  attemptsMax: number;
  /** The wait after a failed attempt, in milliseconds. */
  backoffMs(attempt: number): number;
  timeoutMs: number;
  onDead: 'continue' | 'stop';
  isTransactional: boolean;
  isShared: boolean;
  schema: SchemaByChannel | null;
  /** False for a consumer with handle, which does not return a list of results. */
  isBatch: boolean;
  /** 1 for a consumer with handle. Null: as many as one read returns. */
  batchSize: number | null;
  handleBatch(notifications: Notification[], context: ConsumerContext & CallLimits): unknown;
  /** Null: the daemon reports gaps. */
  onGap: ((gap: Gap, context: ConsumerContext) => unknown) | null;
}>;

/**
 * Gives a consumer file its types. Returns its argument, so a test can call its handle or
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
