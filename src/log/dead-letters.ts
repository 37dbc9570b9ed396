import type { QueryResultRow } from 'pg';
import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import type { ErrorRecord } from './delivery.ts';
import { copySql } from './delivery-copy.ts';
import {
  type DeliveryFilter,
  type DeliveryState,
  filterSql,
  filterValues,
} from './delivery-filter.ts';
import { type LogRow, Notification, safeId } from './notification.ts';
import { MICROSECONDS } from './page-sql.ts';

/** A notification that a consumer has not handled at its first call. */
export type Delivery = {
  consumerId: string;
  /** Of the notification. */
  id: number;
  /** Null where the notification is no longer in the log. */
  channel: string | null;
  key: string | null;
  state: DeliveryState;
  attempts: number;
  nextAttemptAt: Date | null;
  /** When somebody asked for it to be handed out once more, by "pgwatch replay". */
  replayedAt: Date | null;
  firstFailedAt: Date | null;
  lastFailedAt: Date | null;
  firstError: ErrorRecord | null;
  lastError: ErrorRecord | null;
};

/** The deliveries that match, the newest failure first. No payload is read. */
export async function listDeliveries(
  client: Queryable,
  schema: string,
  { filter, limit }: { filter: DeliveryFilter; limit: number },
): Promise<Delivery[]> {
  // Limited first: a column of the copy is taken out of so many rows only.
  const { rows } = await client.query(
    `select ${COLUMNS}, coalesce(d.notification ->> 'channel', (
       select n.channel from ${qualified(schema, 'notification')} as n
       where n.id = d.notification_id limit 1)) as channel
     from (
       select * from ${qualified(schema, 'delivery')} as d
       where ${filterSql(schema)}
       order by ${NEWEST_FIRST} limit $9
     ) as d
     order by ${NEWEST_FIRST}`,
    [...filterValues(filter), limit],
  );
  return rows.map((row) => toDelivery(row as DeliveryRow));
}

export async function countDeliveries(
  client: Queryable,
  schema: string,
  filter: DeliveryFilter,
): Promise<number> {
  const { rows } = await client.query(
    `select count(*)::float8 as count from ${qualified(schema, 'delivery')} as d
     where ${filterSql(schema)}`,
    filterValues(filter),
  );
  return (rows[0] as { count: number }).count;
}

/**
 * The deliveries that match with their notifications: of a dead letter its copy, else what the log
 * holds. Null where that is gone.
 */
export async function readDeliveries(
  client: Queryable,
  schema: string,
  filter: DeliveryFilter,
): Promise<(Delivery & { notification: Notification | null })[]> {
  const { rows } = await client.query(
    `select ${COLUMNS}, found.log_row[4] as channel, found.log_row
     from ${qualified(schema, 'delivery')} as d
     left join lateral (
       select ${logRow(['payload', 'action', 'relation', 'old_row', 'new_row', 'metadata'])}
       from (${copySql(schema, 'd')}) as copy
       union all
       /* Who may only read has the view, whose payload is complete. */
       select ${logRow(['payload', 'null', 'null', 'null', 'null', 'null'])}
       from ${qualified(schema, 'notification')}
       where d.notification is null and id = d.notification_id
       limit 1
     ) as found on true
     where ${filterSql(schema)}
     order by d.consumer_id, d.notification_id`,
    filterValues(filter),
  );
  return (rows as (DeliveryRow & { log_row: LogRow | null })[]).map((row) => ({
    ...toDelivery(row),
    notification: row.log_row
      ? new Notification(row.log_row, { isReplay: true, attempt: row.attempts })
      : null,
  }));
}

/** The consumers that the database knows. */
export async function listConsumerIds(client: Queryable, schema: string): Promise<string[]> {
  const { rows } = await client.query(
    `select consumer_id as id from ${qualified(schema, 'consumer_progress')} order by consumer_id`,
  );
  return (rows as { id: string }[]).map(({ id }) => id);
}

type DeliveryRow = QueryResultRow & {
  consumer_id: string;
  id: string;
  channel: string | null;
  key: string | null;
  state: DeliveryState;
  attempts: number;
  next_attempt_at: Date | null;
  replayed_at: Date | null;
  first_failed_at: Date | null;
  last_failed_at: Date | null;
  first_error: ErrorRecord | null;
  last_error: ErrorRecord | null;
};

function toDelivery(row: DeliveryRow): Delivery {
  return {
    consumerId: row.consumer_id,
    id: safeId(row.id),
    channel: row.channel,
    key: row.key,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    replayedAt: row.replayed_at,
    firstFailedAt: row.first_failed_at,
    lastFailedAt: row.last_failed_at,
    firstError: row.first_error,
    lastError: row.last_error,
  };
}

/** The columns of a LogRow as an array of texts. */
function logRow(content: readonly string[]): string {
  const columns = [
    'id',
    'xid',
    MICROSECONDS('created_at'),
    'channel',
    'key',
    ...content,
    'event_id',
  ];
  return `array[${columns.map((column) => `${column}::text`).join(', ')}] as log_row`;
}

const NEWEST_FIRST = 'd.last_failed_at desc nulls last, d.notification_id desc, d.consumer_id';

const COLUMNS = `d.consumer_id, d.notification_id::text as id, d.key, d.state, d.attempts,
  d.next_attempt_at, d.replayed_at, d.first_failed_at, d.last_failed_at, d.first_error, d.last_error`;
