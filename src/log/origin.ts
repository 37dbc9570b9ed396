import { escapeIdentifier } from 'pg';
import type { Config } from '../config/define.ts';
import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import { patientlyInSchemas } from '../database/patient-lock.ts';
import { PgwatchError } from '../errors.ts';
import { someOf } from '../words.ts';
import { safeId } from './notification.ts';
import { type Replicated, readSubscriptions } from './replicated.ts';

/**
 * Refuses a log that another cluster wrote, one that a subscription writes to, and one that does
 * not belong to the positions. Each cluster numbers its transactions from the beginning, and a
 * sequence that was set back assigns ids a second time: notifications would be lost silently.
 * @returns the id up to which rows count as visible to all (see log_rebase)
 * @throws PgwatchError cluster_restored, which says what to do
 */
export async function requireOwnCluster(
  client: Queryable,
  { schema }: Pick<Config, 'schema'>,
): Promise<number> {
  const { rows } = await client.query(
    `select rebased_id::text, next_xid::text, log_xid::text, is_restored, is_foreign,
       sequence_id::text, used_id::text, used_by, misplaced_id::text, misplaced_by, twice_id::text
     from ${qualified(schema, 'log_origin_state')}()`,
  );
  const row = rows[0] as OriginRow;
  const [subscription] = await readSubscriptions(client, schema);
  const fault = subscription ? subscribedText(subscription) : faultOf(row);
  if (fault !== null) throw new PgwatchError('cluster_restored', fault);
  return safeId(row.rebased_id);
}

/** Why the log and the positions do not belong together; null if they do. */
export async function findRestored(
  client: Queryable,
  config: Pick<Config, 'schema'>,
): Promise<string | null> {
  try {
    await requireOwnCluster(client, config);
    return null;
  } catch (thrown) {
    if (thrown instanceof PgwatchError && thrown.code === 'cluster_restored') return thrown.message;
    throw thrown;
  }
}

/**
 * A cheap form of the same check, for running daemons: looks for a position above the ids that were
 * assigned, and for a subscription.
 * @throws PgwatchError cluster_restored, which says what to do
 */
export async function requireIdsAhead(
  client: Queryable,
  config: Pick<Config, 'schema'>,
): Promise<void> {
  const { rows } = await client.query(
    `select exists (
       select from ${qualified(config.schema, 'consumer_progress')} as p,
         ${qualified(config.schema, 'notification_log_id_seq')} as s
       where greatest(p.done_id, p.window_end) > s.last_value) as "isBehind",
       exists (select from pg_catalog.pg_subscription_rel) as "isSubscribed"`,
  );
  const { isBehind, isSubscribed } = rows[0] as { isBehind: boolean; isSubscribed: boolean };
  const isWritten = isSubscribed && (await readSubscriptions(client, config.schema)).length > 0;
  if (isBehind || isWritten) await requireOwnCluster(client, config);
}

function subscribedText({ name, tables }: Replicated): string {
  return (
    `The subscription "${name}" writes to pgwatch's own tables (${someOf(tables, 1)}): the ` +
    'log and the positions of another database get mixed with those of this one. Leave ' +
    "pgwatch's tables out of its publication, run: " +
    `alter subscription ${escapeIdentifier(name)} refresh publication; ` +
    'then "pgwatch migrate rebase".'
  );
}

function faultOf(row: OriginRow): string | null {
  if (row.is_restored) {
    return (
      'The log was written by another PostgreSQL cluster: it was restored from a dump or copied. ' +
      'Run "pgwatch migrate rebase" to make it this cluster\'s own.'
    );
  }
  if (row.is_foreign) {
    const isLog = row.log_xid !== null && BigInt(row.log_xid) >= BigInt(row.next_xid);
    return isLog
      ? `The log was written by another PostgreSQL cluster (its newest transaction is ` +
          `${row.log_xid}, this cluster's next is ${row.next_xid}): it was restored from a dump ` +
          `or copied. Run "pgwatch migrate rebase" to make it this cluster's own.`
      : `A consumer's position was saved in another PostgreSQL cluster, or in this one before it ` +
          'lost its last transactions (the position names transactions later than this ' +
          `cluster's next, ${row.next_xid}). Run "pgwatch migrate rebase" to make the positions ` +
          `this cluster's own.`;
  }
  if (BigInt(row.used_id) > BigInt(row.sequence_id)) {
    return (
      `The sequence of notification ids is at ${row.sequence_id}, but ` +
      `${row.used_by ?? 'the log'} has id ${row.used_id}: ` +
      'the log was restored or emptied without the rest, or the sequence ' +
      'was set back. New notifications would count as handled. ' +
      'Run "pgwatch migrate rebase" to fix this.'
    );
  }
  if (row.misplaced_id !== null) {
    return (
      `Notification ${row.misplaced_id} was written after the position of ${row.misplaced_by} ` +
      'had passed its id: the log was emptied, or the sequence was set back. It would never be ' +
      'delivered. Run "pgwatch migrate rebase" to fix this.'
    );
  }
  if (row.twice_id !== null) {
    return (
      `Two notifications have the id ${row.twice_id}: the sequence was set back. One of them ` +
      'might never be delivered. Run "pgwatch migrate rebase" to fix this.'
    );
  }
  return null;
}

/** Makes the log and all positions this cluster's own; see the SQL function log_rebase. */
export async function rebaseLog(
  client: Queryable,
  schema: string,
  onWaiting?: (message: string) => void,
): Promise<{ notifications: number; lastId: number }> {
  const work = async () => {
    const { rows } = await client.query(
      `select kept_notifications::float8 as notifications, last_id::float8 as "lastId"
       from ${qualified(schema, 'log_rebase')}()`,
    );
    return rows[0] as { notifications: number; lastId: number };
  };
  return patientlyInSchemas(client, { schemas: [schema], onWaiting }, work);
}

type OriginRow = {
  rebased_id: string;
  next_xid: string;
  log_xid: string | null;
  is_restored: boolean;
  is_foreign: boolean;
  sequence_id: string;
  used_id: string;
  used_by: string | null;
  misplaced_id: string | null;
  misplaced_by: string | null;
  twice_id: string | null;
};
