import type { Config } from '../config/define.ts';
import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import { PgwatchError } from '../errors.ts';
import { safeId } from './notification.ts';

/**
 * Refuses a log that another cluster wrote: transaction ids begin anew in a cluster, so stored ones
 * would order wrongly, and notifications would be lost without a word.
 * @returns the id up to which rows count as visible to all (see log_rebase)
 * @throws PgwatchError cluster_restored, with the remedy
 */
export async function requireOwnCluster(client: Queryable, config: Config): Promise<number> {
  const { schema } = config;
  const log = qualified(schema, 'notification_log');
  const { rows } = await client.query(
    `select
       origin.rebased_id::text,
       pg_snapshot_xmax(pg_current_snapshot())::text as next_xid,
       (select xid from ${log} where id > origin.rebased_id order by xid desc limit 1)::text as log_xid,
       exists (
         select from ${log} where id > origin.rebased_id
           and xid >= pg_snapshot_xmax(pg_current_snapshot()) limit 1
       ) or exists (
         select from ${qualified(schema, 'consumer_progress')}
         where done_xid >= pg_snapshot_xmax(pg_current_snapshot())
           or pg_snapshot_xmax(done_snapshot) > pg_snapshot_xmax(pg_current_snapshot())
       ) as is_foreign,
       (select max(id) from ${log})::text as last_id,
       (select case when is_called then last_value else last_value - 1 end
         from ${qualified(schema, 'notification_log_id_seq')})::text as sequence_id
     from ${qualified(schema, 'log_origin')} as origin`,
  );
  const row = rows[0] as OriginRow;
  if (row.is_foreign) {
    throw new PgwatchError(
      'cluster_restored',
      `The log was written by another PostgreSQL cluster (its newest transaction is ${row.log_xid ?? 'unknown'}, this cluster's next is ${row.next_xid}): it was restored from a dump or copied. Run "pgwatch migrate rebase" to make it this cluster's own.`,
    );
  }
  if (Number(row.last_id ?? 0) > Number(row.sequence_id)) {
    throw new PgwatchError(
      'cluster_restored',
      `The sequence of notification ids stands at ${row.sequence_id}, behind the log's last id ${row.last_id}: it was set back, or not copied in an upgrade. Run "pgwatch migrate rebase" to set it right.`,
    );
  }
  return safeId(row.rebased_id);
}

/** Makes the log and all positions this cluster's own; see the SQL function log_rebase. */
export async function rebaseLog(client: Queryable, schema: string) {
  const { rows } = await client.query(
    `select kept_notifications::float8 as notifications, last_id::float8 as "lastId"
     from ${qualified(schema, 'log_rebase')}()`,
  );
  return rows[0] as { notifications: number; lastId: number };
}

type OriginRow = {
  rebased_id: string;
  next_xid: string;
  log_xid: string | null;
  is_foreign: boolean;
  last_id: string | null;
  sequence_id: string;
};
