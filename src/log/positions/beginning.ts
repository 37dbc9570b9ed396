import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { safeId } from '../notification.ts';
import type { Position, Snapshot } from './position.ts';

/** Where a consumer begins: at the first notification, the newest, an id, or a time. */
export type From = 'start' | 'now' | number | Date;

/**
 * H and S of a position at which the next one handed out is the one meant, as expressions of one
 * statement: between two, commits would be lost. What has not committed by then and gets an id up
 * to H comes as a late one.
 */
export type Beginning = {
  doneId: string;
  doneSnapshot: string;
  /** Of the parameter that doneId has; none where it has none. */
  values: unknown[];
};

/** @param parameter the one that the statement has free, as '$3' */
export function beginningAt(schema: string, from: From, parameter: string): Beginning {
  const log = qualified(schema, 'notification_log');
  // From the start, not even what commits late is settled.
  if (from === 'start') return { doneId: '0', doneSnapshot: NOTHING_VISIBLE, values: [] };
  if (from === 'now') return { doneId: newestIdSql(schema), doneSnapshot: SNAPSHOT, values: [] };
  const doneId =
    from instanceof Date
      ? `(select min(id) - 1 from ${log} where created_at >= ${parameter}::timestamptz)`
      : `${parameter}::bigint - 1`;
  return beginningBefore(schema, doneId, [from]);
}

/**
 * Not above the newest: what is settled must lie below the ids to come.
 * @param doneId an expression; where it is null, it is the newest
 */
export function beginningBefore(schema: string, doneId: string, values: unknown[]): Beginning {
  return { doneId: `least(${doneId}, ${newestIdSql(schema)})`, doneSnapshot: SNAPSHOT, values };
}

/** Reads a position, in one statement. Its values are the parameters from $1 on. */
export async function readPosition(
  client: Queryable,
  { doneId, doneSnapshot, values }: Beginning,
): Promise<Position> {
  const { rows } = await client.query(
    `select (${doneId})::text as id, (${doneSnapshot})::text as snapshot`,
    [...values],
  );
  const { id, snapshot } = rows[0] as { id: string; snapshot: Snapshot };
  return { doneId: safeId(id), doneSnapshot: snapshot, doneXid: null, window: null };
}

/** The newest position: everything visible is settled. */
export async function readNewestPosition(client: Queryable, schema: string): Promise<Position> {
  return readPosition(client, beginningAt(schema, 'now', '$1'));
}

function newestIdSql(schema: string): string {
  return `(select coalesce(max(id), 0) from ${qualified(schema, 'notification_log')})`;
}

const SNAPSHOT = 'pg_current_snapshot()';
/** A snapshot in which nothing is visible. */
const NOTHING_VISIBLE = `'1:1:'::pg_snapshot`;
