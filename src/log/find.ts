import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import { copySql } from './delivery-copy.ts';
import { type LogRow, Notification, safeId } from './notification.ts';
import { MICROSECONDS } from './page-sql.ts';

/** A notification as it is stored. */
export type StoredNotification = {
  notification: Notification;
  xid: string;
  action: string | null;
  /** Of a captured change. */
  table: { schema: string; name: string } | null;
  /** Of its contents as JSON, in bytes. */
  bytes: number;
  /** log, or where it is no longer there, the copy that a dead letter holds. */
  source: 'log' | 'dead letter';
};

/** Finds notifications by their ids: in the log, else as copies. In order of their ids. */
export async function findNotifications(
  client: Queryable,
  schema: string,
  ids: readonly number[],
): Promise<StoredNotification[]> {
  const { rows } = await client.query(
    `select ${LOG_ROW} as row, 'log' as source from ${qualified(schema, 'notification_log')}
     where id = any($1::bigint[])
     union all
     select ${LOG_ROW} as row, 'dead letter' as source
     from (
       select copy.* from (
         select distinct on (notification_id) notification, key, payload, old_row, new_row
         from ${qualified(schema, 'delivery')}
         where notification_id = any($1::bigint[]) and notification is not null
           and not exists (
             select from ${qualified(schema, 'notification_log')} where id = notification_id)
       ) as d
       cross join lateral (${copySql(schema, 'd')}) as copy
     ) as copy`,
    [ids],
  );
  return (rows as { row: LogRow; source: StoredNotification['source'] }[])
    .map(({ row, source }) => stored(row, source))
    .sort((a, b) => a.notification.id - b.notification.id);
}

/**
 * Finds the ids of the notification with an event id. What its publisher gave is looked up; what is derived
 * is in no index, and is looked for in the log, which takes as long as reading it.
 */
export async function findIdsByEventId(
  client: Queryable,
  schema: string,
  { eventId, since }: { eventId: string; since: Date | null },
): Promise<number[]> {
  const published = await idsFrom(
    client,
    `select notification_id as id from ${qualified(schema, 'published')} where event_id = $1::uuid`,
    [eventId],
  );
  if (published.length > 0) return published;
  const isIt = (columns: string) =>
    `$1::uuid = coalesce(${columns}.event_id, ${qualified(schema, 'notification_event_id')}(
       ${columns}.id, ${columns}.xid, ${columns}.created_at))`;
  return idsFrom(
    client,
    `select log.id from ${qualified(schema, 'notification_log')} as log
     where ($2::timestamptz is null or log.created_at >= $2) and ${isIt('log')}
     union
     select copy.id from ${qualified(schema, 'delivery')} as d
     cross join lateral (${copySql(schema, 'd')}) as copy
     where ${isIt('copy')}`,
    [eventId, since],
  );
}

async function idsFrom(client: Queryable, text: string, values: unknown[]): Promise<number[]> {
  const { rows } = await client.query(`select id::text from (${text}) as found`, values);
  return (rows as { id: string }[]).map(({ id }) => safeId(id));
}

function stored(row: LogRow, source: StoredNotification['source']): StoredNotification {
  const [, xid, , , , payload, action, relation, oldRow, newRow] = row;
  const [schema, name] = relation === null ? [] : (JSON.parse(relation) as string[]);
  return {
    notification: new Notification(row, { isReplay: true, attempt: 1 }),
    xid,
    action,
    table: schema !== undefined && name !== undefined ? { schema, name } : null,
    bytes: Buffer.byteLength([payload, oldRow, newRow].join('')),
    source,
  };
}

const LOG_ROW = `array[id::text, xid::text, ${MICROSECONDS('created_at')}::text, channel, key, payload::text, action,
  relation::text, old_row::text, new_row::text, metadata::text, event_id::text]`;
