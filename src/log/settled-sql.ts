import { qualified } from '../database/names.ts';

/**
 * The condition that a position has settled a notification, as the SQL function log_is_settled has it.
 * @param progress the name of a row of consumer_progress
 * @param log the name of a row of the log
 * @param rebasedId the id up to which rows count as visible to all, as SQL
 */
export function settledSql(
  schema: string,
  progress: string,
  log: string,
  rebasedId = 'origin.rebased_id',
): string {
  return `${qualified(schema, 'log_is_settled')}(${log}.id, ${log}.xid, ${progress}, ${rebasedId})`;
}

/** The condition that what is settled was so from the consumer's beginning, or since its position was moved past it. */
export function skippedSql(progress: string, log: string, rebasedId = 'origin.rebased_id'): string {
  return `(${log}.id <= ${progress}.began_id and (
    ${log}.id <= ${rebasedId} or pg_visible_in_snapshot(${log}.xid, ${progress}.began_snapshot)))`;
}

/** The highest id that a position has reached, but for what commits late. */
export function reachedSql(progress: string): string {
  return `greatest(${progress}.done_id, coalesce(${progress}.window_id, 0))`;
}
