import type { QueryResult, QueryResultRow } from 'pg';
import type { Notification } from '../log/notification.ts';
import type { From } from '../log/progress.ts';
import type { Fields } from '../reporter.ts';

/** What a handler is given besides the notification. */
export type ConsumerContext = {
  consumerId: string;
  /** Runs SQL over the daemon's pool. */
  db: {
    query<Row extends QueryResultRow = QueryResultRow>(
      text: string,
      values?: unknown[],
    ): Promise<QueryResult<Row>>;
  };
  /**
   * Aborts when the daemon will not wait for the handler any longer: hand it to fetch and the like.
   */
  signal: AbortSignal;
  /** Prints what the handler has to say, with the consumer's id. */
  reporter: {
    info(message: string, fields?: Fields): void;
    warn(message: string, fields?: Fields): void;
  };
};

/** What a consumer file exports by default. */
export type ConsumerDefinition<Payload = unknown> = {
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
} & (
  | {
      /** Returning is success; throwing hands the notification to it again, later. */
      handle(notification: Notification<Payload>, context: ConsumerContext): unknown;
    }
  | {
      /** The same for many at once, in order: returning is success for all of them. */
      handleBatch(notifications: Notification<Payload>[], context: ConsumerContext): unknown;
      /** How many it gets at once, at most. Default: what one read brings (maxBatchSize). */
      batchSize?: number;
    }
);

/** A checked consumer, complete. */
export type Consumer = Readonly<{
  id: string;
  channels: readonly string[];
  from: From;
  /** The sub-folder of the consumers folder that its file lies in; null directly in it. */
  app: string | null;
  file: string;
  /** 1 for a consumer with handle. Null: as many as one read brings. */
  batchSize: number | null;
  handleBatch(notifications: Notification[], context: ConsumerContext): unknown;
}>;

/** Gives a consumer file its types. Returns what it is given. */
export function defineConsumer<Payload = unknown>(
  definition: ConsumerDefinition<Payload>,
): ConsumerDefinition<Payload> {
  return definition;
}
