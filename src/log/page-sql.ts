import { qualified } from '../database/names.ts';

/**
 * The statement that reads a page: what is visible now, or in an open window, and not settled yet.
 * Rows and snapshot come from one statement: between two, commits fall into a hole and are lost.
 *
 * What a position has not settled lies in three places, each found through an index and in order of
 * id: transactions that were running when its snapshot S was taken and are in its list; those newer
 * than every transaction that had ended by then, which are in no list; and ids above H. The first two
 * are the late commits.
 *
 * Parameters: 1 S, 2 H, 3 N or null, 4 T or null, 5 the window's end, 6 p (0 without a window),
 * 7 channels, 8 rows at most, 9 bytes at most, 10 the id up to which rows count as visible to all.
 */
export function pageSql(schema: string): string {
  const log = qualified(schema, 'notification_log');
  const inWindow = `($4::pg_snapshot is null
      or (id <= $5::bigint and (id <= $10::bigint or pg_visible_in_snapshot(xid, $4::pg_snapshot))))`;
  // One row in 64 of other channels comes along, so that a page full of those moves the position too:
  // that bounds the rows scanned as well as the rows returned.
  const isWanted = '(channel = any($7::text[]) or id % 64 = 0)';
  const late = `$6::bigint < $2::bigint and id > greatest($6::bigint, $10::bigint) and id <= $2::bigint and ${isWanted} and ${inWindow}`;
  return `
with seen as materialized (
  select * from (
    (select row.*
      from unnest(array(select pg_snapshot_xip($1::pg_snapshot))) as running (xid)
      cross join lateral (
        select ${ROW} from ${log} where xid = running.xid and ${late} order by id limit $8::bigint
      ) as row
      order by id limit $8::bigint)
    union all
    (select ${ROW} from ${log}
      where xid >= pg_snapshot_xmax($1::pg_snapshot) and ($3::xid8 is null or xid < $3::xid8) and ${late}
      order by id limit $8::bigint)
    union all
    (select ${ROW} from ${log}
      where id > greatest($2::bigint, $6::bigint) and ${isWanted} and ${inWindow}
      order by id limit $8::bigint)
  ) as found
  order by id limit $8::bigint
),
sized as (
  select *, sum(bytes) over (order by id rows unbounded preceding) - bytes as bytes_before from seen
)
select
  (select count(*) from seen) as id, null as xid, null as created_at, null as channel, null as key,
  null as payload, null as action, null as relation, null as old_row, null as new_row,
  null as metadata, null as event_id,
  coalesce($4::pg_snapshot, pg_current_snapshot())::text as snapshot,
  coalesce($5::bigint, case when
    (select count(*) from seen) = $8::bigint or exists (select from sized where bytes_before >= $9::bigint)
    then (select max(id) from ${log}) end) as window_end
union all
select ${COLUMNS.join(', ')}, null, null from sized where bytes_before < $9::bigint`;
}

/** The columns of a LogRow. */
const COLUMNS = [
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

// A compressed value counts sixteenfold: its true size would have to be unpacked to be known.
const CONTENT = ['payload', 'old_row', 'new_row'];
const BYTES = CONTENT.map(
  (column) =>
    `coalesce(pg_column_size(${column})::bigint * case when pg_column_compression(${column}) is null then 1 else 16 end, 0)`,
).join(' + ');

const ROW = `id, xid, date_part('epoch', created_at) as created_at, channel,
        key, payload, action, relation, old_row, new_row, metadata, event_id, 100 + ${BYTES} as bytes`;
