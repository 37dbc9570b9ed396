import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { AS_TEXT } from '../../database/types.ts';
import { CONTENT_TEXT_BYTES_MAX } from '../content-sql.ts';
import { fetchContent, fillLong } from '../long-contents.ts';
import { type LogRow, safeId } from '../notification.ts';
import { COLUMNS, MICROSECONDS, rowTexts } from '../page-sql.ts';
import { copySql } from './copy.ts';
import type { DeliveryScope } from './delivery.ts';
import { sameKeySql } from './key-sql.ts';

/** A notification that is due: for a retry, or because it is no longer blocked. */
export type DueDelivery = {
  consumerId: string;
  notificationId: number;
  /** Null if it is no longer in the log and was not copied. */
  row: LogRow | null;
  key: string | null;
  /** How often its handler has been called. */
  attempts: number;
  /**
   * True if it may have killed a process: it is handled carefully, and recorded before the call.
   */
  isSuspect: boolean;
  /** True if it is handled together with other suspects. */
  isGrouped: boolean;
};

/** A consumer for which deliveries may be due. */
export type DueScope = DeliveryScope & {
  /** The notifications that it is already working on. */
  workingIds: readonly number[];
  /**
   * True if notifications after a dead letter of their key wait until it is retried or discarded.
   */
  isStopping: boolean;
};

/** Reads what is due: the first waiting notification of each key, and those that it blocks. */
export async function readDue(
  client: ClientBase,
  schema: string,
  consumers: readonly DueScope[],
): Promise<DueDelivery[]> {
  const working = consumers.flatMap(({ consumerId, workingIds }) =>
    workingIds.map((id) => ({ consumerId, id })),
  );
  const { rows } = await client.query<(string | null)[]>({
    text: dueSql(schema),
    values: [
      consumers.map(({ consumerId }) => consumerId),
      consumers.map(({ isOrdered }) => isOrdered),
      working.map(({ consumerId }) => consumerId),
      working.map(({ id }) => id),
      consumers.map(({ isStopping }) => isStopping),
    ],
    rowMode: 'array',
    types: AS_TEXT,
  });
  // Deliveries left out here are found again once these are done.
  return completed(client, schema, rows, DUE_BYTES_MAX);
}

/**
 * Reads deliveries by id, in order, that were found due before. Leaves out those whose turn it no
 * longer is: a replay or an earlier lease may have filed an earlier notification of the key since.
 */
export async function readLeasedDeliveries(
  client: ClientBase,
  schema: string,
  { consumerId, isOrdered, isStopping }: Omit<DueScope, 'workingIds'>,
  ids: readonly number[],
): Promise<DueDelivery[]> {
  const isBehind = `exists (${earlierSql(schema, String(isStopping))}
    and earlier.notification_id <> all($2::bigint[]))`;
  const scope = { consumerId, ids, where: isOrdered ? `(key is null or not ${isBehind})` : 'true' };
  return completed(client, schema, await readRaw(client, schema, scope));
}

type RawDue = (string | null)[];
type RawScope = { consumerId: string; ids: readonly (string | number)[]; where?: string };

/** @param bytesMax the maximum length of a row's contents; without it, long ones are left out */
async function readRaw(
  client: ClientBase,
  schema: string,
  { consumerId, ids, where = 'true' }: RawScope,
  bytesMax?: number,
): Promise<RawDue[]> {
  const turn = `
with turn as (
  select ${TURN}
  from ${qualified(schema, 'delivery')} as d
  where consumer_id = $1 and notification_id = any($2::bigint[]) and state <> 'dead' and ${where}
)`;
  const { rows } = await client.query<RawDue>({
    text: turn + contentOfTurn(schema, bytesMax),
    values: [consumerId, ids],
    rowMode: 'array',
    types: AS_TEXT,
  });
  return rows;
}

/** Completes the contents of deliveries, and returns as many as bytesMax allows. */
async function completed(
  client: ClientBase,
  schema: string,
  raw: readonly RawDue[],
  bytesMax?: number,
): Promise<DueDelivery[]> {
  const rows = raw.map((due) => due.slice(DUE_COLUMNS));
  const fetch = async (row: RawDue) => {
    const [consumerId, id] = raw[rows.indexOf(row)] as [string, string];
    const one = { consumerId, ids: [id] };
    const [full] = await readRaw(client, schema, one, CONTENT_TEXT_BYTES_MAX);
    if (full) Object.assign(row, full.slice(DUE_COLUMNS));
    return full !== undefined;
  };
  const { count, gone } = await fillLong(rows, fetch, bytesMax);
  const dues = raw.map((due, index) => ({ due, row: rows[index] as RawDue })).slice(0, count);
  return dues
    .filter(({ row }) => !gone.has(row))
    .map(({ due, row }) => toDue([...due.slice(0, DUE_COLUMNS), ...row]));
}

/** Reads rows of the log by id, in any order; leaves out those that are gone. */
export async function readRows(
  client: ClientBase,
  schema: string,
  ids: readonly number[],
): Promise<LogRow[]> {
  const { rows } = await client.query<LogRow>({
    text: `select ${columnsOf(schema, 'row')} from ${qualified(schema, 'notification_log')} as row
      where id = any($1::bigint[])`,
    values: [ids],
    rowMode: 'array',
    types: AS_TEXT,
  });
  const { gone } = await fillLong(rows, (row) => fetchContent(client, schema, row));
  return rows.filter((row) => !gone.has(row));
}

function dueSql(schema: string): string {
  const delivery = qualified(schema, 'delivery');
  return `
with consumer as (
  select * from unnest($1::text[], $2::boolean[], $5::boolean[]) as c (id, is_ordered, is_stopping)
),
head as (
  select due.*, consumer.is_ordered, consumer.is_stopping from consumer cross join lateral (
    select ${TURN} from ${delivery} as d
    where consumer_id = consumer.id and state = 'retry' and next_attempt_at <= clock_timestamp()
      and not exists (
        select from unnest($3::text[], $4::bigint[]) as working (consumer_id, id)
        where working.consumer_id = d.consumer_id and working.id = d.notification_id)
      and (key is null or not consumer.is_ordered
        or not exists (${earlierSql(schema, 'consumer.is_stopping')}))
    order by next_attempt_at limit ${HEADS_MAX}
  ) as due
),
turn as (
  select ${TURN} from head
  union all
  select behind.* from head cross join lateral (
    select ${TURN} from ${delivery} as d
    where head.is_ordered and consumer_id = head.consumer_id and ${sameKeySql('key', 'head.key')}
      and state = 'blocked' and notification_id > head.notification_id
      and not exists (
        select from ${delivery} as between_them
        where between_them.consumer_id = d.consumer_id
          and ${sameKeySql('between_them.key', 'd.key')}
          and (between_them.state = 'retry' or between_them.state = 'dead' and head.is_stopping)
          and between_them.notification_id > head.notification_id
          and between_them.notification_id < d.notification_id)
    order by notification_id limit ${BEHIND_MAX}
  ) as behind
)${contentOfTurn(schema)}`;
}

/** The deliveries with the key of the delivery d that have to be done before it. */
function earlierSql(schema: string, isStopping: string): string {
  return `
        select from ${qualified(schema, 'delivery')} as earlier
        where earlier.consumer_id = d.consumer_id and ${sameKeySql('earlier.key', 'd.key')}
          and (earlier.state <> 'dead' or ${isStopping})
          and earlier.notification_id < d.notification_id`;
}

/** The deliveries in turn with their rows of the log, or their copies if the log lost the rows. */
function contentOfTurn(schema: string, bytesMax?: number): string {
  const log = qualified(schema, 'notification_log');
  return `
select turn.consumer_id, turn.notification_id, turn.key, turn.attempts, turn.is_suspect,
  turn.is_grouped, ${columnsOf(schema, 'row', bytesMax)}
from turn
left join lateral (
  select ${COLUMNS.join(', ')} from ${log} where id = turn.notification_id
  union all
  ${copySql(schema, 'turn')}
  limit 1
) as row on true
order by turn.consumer_id, turn.notification_id`;
}

function columnsOf(schema: string, row: string, bytesMax?: number): string {
  return rowTexts(schema, row, bytesMax)
    .map((text, index) => (COLUMNS[index] === 'created_at' ? MICROSECONDS(text) : text))
    .join(', ');
}

function toDue(raw: RawDue): DueDelivery {
  const [consumerId, notificationId, key, attempts, isSuspect, isGrouped, ...row] = raw;
  return {
    consumerId: consumerId as string,
    notificationId: safeId(notificationId as string),
    key: key as string | null,
    attempts: Number(attempts),
    isSuspect: isSuspect === 't',
    isGrouped: isGrouped === 't',
    row: row[0] === null ? null : (row as unknown as LogRow),
  };
}

/** The columns that are read of a delivery in turn. */
const TURN = `consumer_id, notification_id, key, attempts, is_suspect, is_grouped, notification,
  payload, old_row, new_row`;

/** How many columns precede the row of the log. */
const DUE_COLUMNS = 6;
const DUE_BYTES_MAX = 16 * 1024 * 1024;

/** The maximum number of keys at a time, and of notifications after the first of each. */
const HEADS_MAX = 100;
export const BEHIND_MAX = 50;
