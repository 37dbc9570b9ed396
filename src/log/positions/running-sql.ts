import { qualified } from '../../database/names.ts';

/*
Conditions on whether daemons run a consumer, and what they report about it. The parameter progress
is the alias of the consumer's row in consumer_progress.
*/

/** The daemon runs the consumer, or is about to. */
export function runsSql(daemon: string, progress: string): string {
  return `(${daemon}.daemon_id = ${progress}.owner
    or ${progress}.consumer_id = any(${daemon}.consumer_ids || ${daemon}.shared_ids))`;
}

/** A live daemon runs the consumer, or is about to. */
export function isRunSql(schema: string, progress: string): string {
  return `exists (
    select from ${qualified(schema, 'live_daemon')} as live where ${runsSql('live', progress)})`;
}

/** A live daemon reports that it takes nothing new because of a dead letter. */
export function isStoppedSql(schema: string, progress: string): string {
  return `exists (
    select from ${qualified(schema, 'live_daemon')} as live
    where ${activitySql('live', progress, 'state')} = '"stopped"')`;
}

/** What a daemon reports about the consumer, as JSON; see DaemonActivity. */
export function activitySql(daemon: string, progress: string, field: 'state' | 'rate'): string {
  return `${daemon}.activity #> array['consumers', ${progress}.consumer_id, '${field}']`;
}
