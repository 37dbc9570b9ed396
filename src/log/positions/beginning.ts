import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { safeId } from '../notification.ts';
import type { Position, Snapshot } from './position.ts';

/** Where a consumer begins: at the first notification, the newest, an id, or a time. */
export type From = 'start' | 'now' | number | Date;

/**
 * H and S of a position from which the notification in question is the next one delivered, as
 * expressions for one statement: with two, commits in between would be lost. A notification with an
 * id up to H that has not committed by then is delivered as a late commit.
 */
export type Beginning = {
  doneId: string;
  doneSnapshot: string;
  /** The value of the parameter in doneId; empty if it has none. */
  values: unknown[];
};

/** @param parameter the next unused parameter of the statement, such as '$3' */
export function beginningAt(schema: string, from: From, parameter: string): Beginning {
  const log = qualified(schema, 'notification_log');
  // At the start nothing is settled, not even transactions that commit late.
  if (from === 'start') return { doneId: '0', doneSnapshot: NOTHING_VISIBLE, values: [] };
  if (from === 'now') return { doneId: newestIdSql(schema), doneSnapshot: SNAPSHOT, values: [] };
  const doneId =
    from instanceof Date
      ? `(select min(id) - 1 from ${log} where created_at >= ${parameter}::timestamptz)`
      : `${parameter}::bigint - 1`;
  return beginningBefore(schema, doneId, [from]);
}

/**
 * Limits H to the newest id: settled ids must be below the ids to come.
 * @param doneId an expression; if it is null, H is the newest id
 */
export function beginningBefore(schema: string, doneId: string, values: unknown[]): Beginning {
  return { doneId: `least(${doneId}, ${newestIdSql(schema)})`, doneSnapshot: SNAPSHOT, values };
}

/** Reads a position in one statement. The values of the beginning are the parameters from $1 on. */
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
