import { qualified } from '../../database/names.ts';

/*
Whether anybody runs a consumer, and what they say of it: conditions over the row of its position, which has the
alias that is given.
*/

/** That a daemon runs the consumer, or is about to. */
export function runsSql(daemon: string, progress: string): string {
  return `(${daemon}.daemon_id = ${progress}.owner
    or ${progress}.consumer_id = any(${daemon}.consumer_ids || ${daemon}.shared_ids))`;
}

/** That a daemon that is alive runs it, or is about to. */
export function isRunSql(schema: string, progress: string): string {
  return `exists (
    select from ${qualified(schema, 'live_daemon')} as live where ${runsSql('live', progress)})`;
}

/** That a daemon that is alive says that it takes nothing new, because of a dead letter. */
export function isStoppedSql(schema: string, progress: string): string {
  return `exists (
    select from ${qualified(schema, 'live_daemon')} as live
    where ${activitySql('live', progress, 'state')} = '"stopped"')`;
}

/** What a daemon says that it does for the consumer, as JSON; see DaemonActivity. */
export function activitySql(daemon: string, progress: string, field: 'state' | 'rate'): string {
  return `${daemon}.activity #> array['consumers', ${progress}.consumer_id, '${field}']`;
}
