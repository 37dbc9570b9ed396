import type { QueryResultRow } from 'pg';
import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { SHOWN_TEXT_BYTES_MAX } from '../content-sql.ts';
import { LogNotification, type LogRow, safeId } from '../notification.ts';
import { COLUMNS as LOG_COLUMNS, MICROSECONDS, rowTexts } from '../page-sql.ts';
import { copySql } from './copy.ts';
import type { ErrorRecord } from './delivery.ts';
import { type DeliveryFilter, type DeliveryState, filterSql, filterValues } from './filter.ts';

/** A notification that a consumer did not handle at the first call. */
export type FiledDelivery = {
  consumerId: string;
  /** The id of the notification. */
  id: number;
  /** Null if the notification is no longer in the log. */
  channel: string | null;
  key: string | null;
  state: DeliveryState;
  attempts: number;
  nextAttemptAt: Date | null;
  /** The attempt for which its handler is being called, if that was recorded; null otherwise. */
  calledAttempt: number | null;
  /** When "pgwatch replay" was asked to deliver it again. */
  replayedAt: Date | null;
  firstFailedAt: Date | null;
  lastFailedAt: Date | null;
  firstError: ErrorRecord | null;
  lastError: ErrorRecord | null;
};

/** Lists the matching deliveries, newest failure first. Reads no payloads. */
export async function listDeliveries(
  client: Queryable,
  schema: string,
  { filter, limit }: { filter: DeliveryFilter; limit: number },
): Promise<FiledDelivery[]> {
  // The limit comes first, so the channel is extracted from the copies of those rows only.
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
 * Reads the matching deliveries with their notifications: the copy of a dead letter, otherwise the
 * row of the log; null if that is gone.
 */
export async function readDeliveries(
  client: Queryable,
  schema: string,
  filter: DeliveryFilter,
): Promise<(FiledDelivery & { notification: LogNotification | null })[]> {
  const { rows } = await client.query(
    `select ${COLUMNS}, found.row_3 as channel, found.*
     from ${qualified(schema, 'delivery')} as d
     left join lateral (
       select ${logRow(schema, 'copy')} from (${copySql(schema, 'd')}) as copy
       union all
       select ${logRow(schema, 'log')} from ${qualified(schema, 'notification_log')} as log
       where d.notification is null and id = d.notification_id
       limit 1
     ) as found on true
     where ${filterSql(schema)}
     order by d.consumer_id, d.notification_id`,
    filterValues(filter),
  );
  return (rows as (DeliveryRow & Record<string, string | null>)[]).map((row) => {
    const found = LOG_COLUMNS.map((_, index) => row[`row_${index}`]) as LogRow;
    const isThere = found[0] !== null;
    return {
      ...toDelivery(row),
      notification: isThere
        ? new LogNotification(found, { isReplay: true, attempt: row.attempts })
        : null,
    };
  });
}

/** Lists the registered consumers. */
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
  called_attempt: number | null;
  replayed_at: Date | null;
  first_failed_at: Date | null;
  last_failed_at: Date | null;
  first_error: ErrorRecord | null;
  last_error: ErrorRecord | null;
};

function toDelivery(row: DeliveryRow): FiledDelivery {
  return {
    consumerId: row.consumer_id,
    id: safeId(row.id),
    channel: row.channel,
    key: row.key,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    calledAttempt: row.called_attempt,
    replayedAt: row.replayed_at,
    firstFailedAt: row.first_failed_at,
    lastFailedAt: row.last_failed_at,
    firstError: row.first_error,
    lastError: row.last_error,
  };
}

/**
 * The columns of a LogRow as texts, named row_0 and so on. An array of them might exceed the
 * maximum length of a text.
 */
function logRow(schema: string, row: string): string {
  return rowTexts(schema, row, SHOWN_TEXT_BYTES_MAX)
    .map((text, index) => (LOG_COLUMNS[index] === 'created_at' ? MICROSECONDS(text) : text))
    .map((text, index) => `(${text})::text as row_${index}`)
    .join(', ');
}

const NEWEST_FIRST = 'd.last_failed_at desc nulls last, d.notification_id desc, d.consumer_id';

const COLUMNS = `d.consumer_id, d.notification_id::text as id, d.key, d.state, d.attempts,
  d.next_attempt_at, d.called_attempt, d.replayed_at, d.first_failed_at, d.last_failed_at,
  d.first_error, d.last_error`;
