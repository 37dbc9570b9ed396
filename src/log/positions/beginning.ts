import { qualified } from '../../database/names.ts';

/** Where a consumer begins: at the first notification, the newest, an id, or a time. */
export type From = 'start' | 'now' | number | Date;

/**
 * H and S of a position at which the next one handed out is the one meant, as expressions of one
 * statement: between two, commits would be lost. What has not committed by then and gets an id up to H
 * comes as a late one.
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
  const newest = `(select coalesce(max(id), 0) from ${log})`;
  const doneSnapshot = 'pg_current_snapshot()';
  // From the start, not even what commits late is settled.
  if (from === 'start') return { doneId: '0', doneSnapshot: NOTHING_VISIBLE, values: [] };
  if (from === 'now') return { doneId: newest, doneSnapshot, values: [] };
  const doneId =
    from instanceof Date
      ? `coalesce((select min(id) - 1 from ${log} where created_at >= ${parameter}::timestamptz),
          ${newest})`
      : // Not above the newest: what is settled must lie below the ids to come.
        `least(${parameter}::bigint - 1, ${newest})`;
  return { doneId, doneSnapshot, values: [from] };
}

/** A snapshot in which nothing is visible. */
const NOTHING_VISIBLE = `'1:1:'::pg_snapshot`;
