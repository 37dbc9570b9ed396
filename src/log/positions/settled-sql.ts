import { qualified } from '../../database/names.ts';

/**
 * The condition that a position has settled a notification, according to the SQL function
 * log_is_settled.
 * @param progress the alias of a row of consumer_progress
 * @param log the alias of a row of the log
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

/**
 * The condition that a settled notification was settled from the consumer's beginning, or since its
 * position was moved past it.
 */
export function skippedSql(progress: string, log: string, rebasedId = 'origin.rebased_id'): string {
  return `(${log}.id <= ${progress}.began_id and (
    ${log}.id <= ${rebasedId} or pg_visible_in_snapshot(${log}.xid, ${progress}.began_snapshot)))`;
}

/**
 * Whether the consumer read the notification's channel when its position settled the notification;
 * null if it is unknown when it read that channel.
 */
export function wasReadSql(
  schema: string,
  progress: string,
  log: string,
  rebasedId = 'origin.rebased_id',
): string {
  const channel = `${qualified(schema, 'consumer_channel')} as c
    where c.consumer_id = ${progress}.consumer_id and ${isNamedSql(schema, log)}`;
  const settledAt = (when: string) => settledAtSql(`c.${when}`, log, rebasedId);
  return `(select bool_or(
      not ${settledAt('since')} and (c.until_at is null or ${settledAt('until')}))
    from ${channel})`;
}

/**
 * Where the consumer began to read the notification's channel, if that was after the notification
 * was settled, as JSON; otherwise null.
 */
export function readSinceSql(
  schema: string,
  progress: string,
  log: string,
  rebasedId = 'origin.rebased_id',
): string {
  return `(select jsonb_build_object(
      'id', greatest(c.since_id, coalesce(c.since_window_id, 0))::float8 + 1,
      'ms', extract(epoch from c.since_at)::float8 * 1000)
    from ${qualified(schema, 'consumer_channel')} as c
    where c.consumer_id = ${progress}.consumer_id and ${isNamedSql(schema, log)}
      and ${settledAtSql('c.since', log, rebasedId)}
    order by c.since_at limit 1)`;
}

/** Whether a row of consumer_channel, c, has the channel of a row of the log, or its pattern. */
function isNamedSql(schema: string, log: string): string {
  const patterns = `${qualified(schema, 'channel_patterns')}(array[c.channel])`;
  return `${qualified(schema, 'channel_is_read')}(${log}.channel, array[c.channel], ${patterns})`;
}

function settledAtSql(position: string, log: string, rebasedId: string): string {
  const part = (name: string) => `(${log}.id <= ${position}${name}_id and (${log}.id <= ${rebasedId}
    or pg_visible_in_snapshot(${log}.xid, ${position}${name}_snapshot)))`;
  return `coalesce(${part('')} or coalesce(${part('_window')}, false), false)`;
}

/** The highest id that a position has reached, except for late commits. */
export function reachedSql(progress: string): string {
  return `greatest(${progress}.done_id, coalesce(${progress}.window_id, 0))`;
}
