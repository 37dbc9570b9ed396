import { qualified } from '../database/names.ts';
import { isOneOfSql } from './channels.ts';
import { type ContentColumn, contentTextSql, inlineTextSql, keyTextSql } from './content-sql.ts';

/**
 * The statement that reads a page: what is visible now, or in an open window, and not settled yet.
 * Rows and snapshot come from one statement: with two, commits in between would be lost.
 *
 * Rows that a position has not settled are in three places, each found through an index: rows of
 * transactions that were running when snapshot S was taken, which are in its list; rows of
 * transactions newer than every transaction that had ended by then, which are in no list; and rows
 * with ids above H. The first two are the late commits.
 *
 * Parameters: 1 S, 2 H, 3 N or null, 4 T or null, 5 the window's end, 6 p (0 without a window),
 * 7 channels, or whatever else the condition refers to, 8 maximum of rows, 9 maximum of bytes,
 * 10 the id up to which rows count as visible to all.
 * @param condition which rows are wanted
 * @param textBytesMax see rowTexts
 */
export function pageSql(
  schema: string,
  condition = isOneOfSql(schema, 'channel', '$7'),
  textBytesMax?: number,
): string {
  const log = qualified(schema, 'notification_log');
  // One in 64 of the other rows is returned too, and moves the position. This bounds the rows
  // scanned, not only the rows returned.
  const isWanted = `(${condition} or id % 64 = 0)
      and ($4::pg_snapshot is null
        or (id <= $5::bigint
          and (id <= $10::bigint or pg_visible_in_snapshot(xid, $4::pg_snapshot))))`;
  return `
with seen as materialized (
  select * from (
    (select row.*
      from unnest(array(select pg_snapshot_xip($1::pg_snapshot))) as running (xid)
      cross join lateral (
        select ${ROW} from ${log}
        where $6::bigint < $2::bigint and xid = running.xid
          and id > greatest($6::bigint, $10::bigint) and id <= $2::bigint
          and ${isWanted}
        order by id limit $8::bigint
      ) as row
      order by id limit $8::bigint)
    union all
    (select * from (
        select ${ROW} from ${log}
        where $6::bigint < $2::bigint
          and xid >= pg_snapshot_xmax($1::pg_snapshot) and xid < coalesce($3::xid8, '${XID_MAX}')
          and id + 0 > greatest($6::bigint, $10::bigint) and id + 0 <= $2::bigint
          and ${isWanted}
        /* offset 0 and id + 0 force the index on xid: these are few rows among many ids. */
        offset 0
      ) as newer
      order by id limit $8::bigint)
    union all
    (select ${ROW} from ${log}
      where id > greatest($2::bigint, $6::bigint)
        and ${isWanted}
      order by id limit $8::bigint)
  ) as found
  order by id limit $8::bigint
),
total as (
  select count(*) as rows, count(*) = $8::bigint or sum(bytes) >= $9::bigint as is_full from seen
)
select
  rows as id, null as xid, null as created_at, null as channel, null as key, null as payload,
  null as action, null as relation, null as old_row, null as new_row, null as metadata,
  null as event_id,
  coalesce($4::pg_snapshot, pg_current_snapshot())::text as snapshot,
  coalesce($5::bigint, case when is_full then (select max(id) from ${log}) end) as window_end
from total
union all
select ${rowTexts(schema, 'sized', textBytesMax).join(', ')}, null, null
from (
  select *, sum(bytes) over (order by id rows unbounded preceding) - bytes as bytes_before from seen
) as sized
where bytes_before < $9::bigint`;
}

/**
 * The statement that streams the new part of an open window through a cursor. A large row comes
 * without its content, which is fetched when the row is needed; this bounds the size of a chunk.
 *
 * Parameters: 1 the id to begin after, 2 the window's end, 3 channels, 4 T, 5 see 10 above.
 */
export function streamSql(schema: string): string {
  const columns = rowTexts(schema, 'row').map((text, index) =>
    CONTENT.has(COLUMNS[index] as string)
      ? `case when bytes <= ${CONTENT_BYTES_MAX} then ${text} end`
      : text,
  );
  return `
select ${columns.join(', ')}, bytes
from (
  select ${ROW} from ${qualified(schema, 'notification_log')}
  where id > $1::bigint and id <= $2::bigint
    and (${isOneOfSql(schema, 'channel', '$3')} or id % 64 = 0)
    and (id <= $5::bigint or pg_visible_in_snapshot(xid, $4::pg_snapshot))
) as row
order by id`;
}

/** The statement that fetches the content of rows. Parameters: 1 their ids, 2 their xids. */
export function contentSql(schema: string, textBytesMax?: number): string {
  const texts = [...CONTENT].map((column) => contentTextSql(schema, 'log', column, textBytesMax));
  return `select id, ${texts.join(', ')} from ${qualified(schema, 'notification_log')} as log
    where id = any($1::bigint[]) and xid = any($2::xid8[])`;
}

/** The maximum size of content in a streamed row. A chunk holds at most 500 such rows. */
export const CONTENT_BYTES_MAX = 65_536;

/** The columns of a LogRow. */
export const COLUMNS = [
  'id',
  'xid',
  'created_at',
  'channel',
  'key',
  'payload',
  'action',
  'relation',
  'old_row',
  'new_row',
  'metadata',
  'event_id',
] as const;

/**
 * The columns of a row; those that may be too long for a text are written by contentTextSql.
 * @param textBytesMax the maximum length of its contents; without it, long ones are fetched later
 */
export function rowTexts(schema: string, row: string, textBytesMax?: number): string[] {
  return COLUMNS.map((column) => {
    if (column === 'key') return keyTextSql(row);
    if (column === 'metadata') return contentTextSql(schema, row, column, textBytesMax);
    if (!isContent(column)) return `${row}.${column}`;
    return textBytesMax === undefined
      ? inlineTextSql(schema, row, column)
      : contentTextSql(schema, row, column, textBytesMax);
  });
}

const CONTENT: ReadonlySet<string> & ReadonlySet<ContentColumn> = new Set<ContentColumn>([
  'payload',
  'old_row',
  'new_row',
]);

function isContent(column: string): column is ContentColumn {
  return CONTENT.has(column);
}

/** The highest xid8. */
const XID_MAX = '18446744073709551615';

// A compressed value counts sixteenfold: finding its real size would require decompressing it.
const BYTES = ['payload', 'old_row', 'new_row', 'metadata'].map(
  (column) =>
    `coalesce(pg_column_size(${column})::bigint
          * case when pg_column_compression(${column}) is null then 1 else 16 end, 0)`,
);

/** A time as a LogRow has it: an integer, which every session writes in the same way. */
export const MICROSECONDS = (column: string) => `(date_part('epoch', ${column}) * 1000000)::bigint`;

const ROW = `id, xid, ${MICROSECONDS('created_at')} as created_at, channel,
        key, payload, action, relation, old_row, new_row, metadata, event_id,
          (least(100 + coalesce(octet_length(key), 0)::bigint + ${BYTES.join(' + ')},
            1073741824))::integer as bytes`;
