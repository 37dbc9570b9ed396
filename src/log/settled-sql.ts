/**
 * The condition that a position has settled a notification: it is visible in one of its snapshots and
 * not above what was reached in that. True also for what waits for a retry, and for what was skipped.
 * @param progress the name of a row of consumer_progress
 * @param log the name of a row of the log
 * @param rebasedId the id up to which rows count as visible to all, as SQL
 */
export function settledSql(progress: string, log: string, rebasedId: string): string {
  const isIn = (snapshot: string) =>
    `(${log}.id <= ${rebasedId} or pg_visible_in_snapshot(${log}.xid, ${progress}.${snapshot}))`;
  return `(${log}.id <= ${progress}.done_id and ${isIn('done_snapshot')}
    or ${progress}.window_snapshot is not null and ${log}.id <= ${progress}.window_id
      and ${isIn('window_snapshot')})`;
}

/** The highest id that a position has reached, but for what commits late. */
export function reachedSql(progress: string): string {
  return `greatest(${progress}.done_id, coalesce(${progress}.window_id, 0))`;
}
