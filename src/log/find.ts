import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import { AS_TEXT } from '../database/types.ts';
import { SHOWN_TEXT_BYTES_MAX } from './content-sql.ts';
import { copySql } from './deliveries/copy.ts';
import { isUnreadable, LogNotification, type LogRow, safeId } from './notification.ts';
import { COLUMNS, MICROSECONDS, rowTexts } from './page-sql.ts';

/** A notification as it is stored. */
export type StoredNotification = {
  notification: LogNotification;
  xid: string;
  action: string | null;
  /** The table of a captured change; null for other notifications. */
  table: { schema: string; name: string } | null;
  /** The size of its contents as JSON; null if they are too large to be read. */
  bytes: number | null;
  /** log, or the copy in a dead letter if the log no longer has it. */
  source: 'log' | 'dead letter';
};

/** Finds notifications by id: in the log, or else as copies in dead letters. Ordered by id. */
export async function findNotifications(
  client: Queryable,
  schema: string,
  ids: readonly number[],
): Promise<StoredNotification[]> {
  const { rows } = await client.query<[...LogRow, source: StoredNotification['source']]>({
    text: `select ${texts(schema, 'log')}, 'log' as source
     from ${qualified(schema, 'notification_log')} as log
     where id = any($1::bigint[])
     union all
     select ${texts(schema, 'copy')}, 'dead letter' as source
     from (
       select distinct on (notification_id) notification, key, payload, old_row, new_row
       from ${qualified(schema, 'delivery')}
       where notification_id = any($1::bigint[]) and notification is not null
         and not exists (
           select from ${qualified(schema, 'notification_log')} where id = notification_id)
     ) as d
     cross join lateral (${copySql(schema, 'd')}) as copy`,
    values: [ids],
    rowMode: 'array',
    types: AS_TEXT,
  });
  return rows.map(stored).sort((a, b) => a.notification.id - b.notification.id);
}

/**
 * Finds the ids of notifications with an event id. An event id that the publisher gave is looked
 * up; a derived one is not indexed, so finding it takes as long as reading the log.
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

function stored(found: [...LogRow, source: StoredNotification['source']]): StoredNotification {
  const row = found.slice(0, -1) as LogRow;
  const [, xid, , , , payload, action, relation, oldRow, newRow] = row;
  const [schema, name] = relation === null ? [] : (JSON.parse(relation) as string[]);
  let bytes = 0;
  for (const text of [payload, oldRow, newRow]) bytes += Buffer.byteLength(text ?? '');
  return {
    notification: new LogNotification(row, { isReplay: true, attempt: 1 }),
    xid,
    action,
    table: schema !== undefined && name !== undefined ? { schema, name } : null,
    bytes: isUnreadable(row) ? null : bytes,
    source: found[12],
  };
}

function texts(schema: string, row: string): string {
  return rowTexts(schema, row, SHOWN_TEXT_BYTES_MAX)
    .map((text, index) => (COLUMNS[index] === 'created_at' ? MICROSECONDS(text) : text))
    .join(', ');
}
