import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/** A transaction that has written to the log and is still open. */
export type Writer = {
  /** Null: it is prepared, and belongs to no process. */
  pid: number | null;
  /** Of a prepared transaction. */
  gid: string | null;
  program: string | null;
  user: string | null;
  /** As in pg_stat_activity; null if this role may not see it. */
  state: string | null;
  query: string | null;
  /** When it began; for a prepared transaction, when it was prepared. */
  since: Date | null;
  /**
   * Since when it has waited for its client's next statement; null if it does not, or if this role
   * may not see it.
   */
  idleSince: Date | null;
};

/**
 * Reads the transactions that may hold notifications which are not visible yet. A transaction that
 * has drawn an id keeps a lock on the sequence until it ends, and a lock on the log until what it
 * wrote is rolled back. For a notification with an event id, the id is drawn before the event id is
 * known to be new, so a lock on the table of event ids counts, too.
 */
export async function readWriters(client: Queryable, schema: string): Promise<Writer[]> {
  const { rows } = await client.query(
    `with parent as (
       select $1::regclass as oid, $2::regclass as sequence, $3::regclass as published)
     select distinct on (l.virtualtransaction) l.pid, p.gid,
       nullif(a.application_name, '') as program, coalesce(a.usename, p.owner) as user, a.state,
       case when a.state is not null then a.query end as query,
       coalesce(a.xact_start, p.prepared) as since,
       case when a.state like 'idle in transaction%' then a.state_change end as "idleSince"
     from pg_catalog.pg_locks as l
     left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
     left join pg_catalog.pg_prepared_xacts as p on l.pid is null and exists (
       select from pg_catalog.pg_locks as own
       where own.locktype = 'transactionid' and own.virtualtransaction = l.virtualtransaction
         and own.transactionid = p.transaction and own.pid is null)
     where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
       and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
       and l.pid is distinct from pg_catalog.pg_backend_pid()
       and (l.relation in (select unnest(array[oid, published]) from parent) or l.relation in (
         select inhrelid from pg_catalog.pg_inherits where inhparent = (select oid from parent)))
       and exists (
         select from pg_catalog.pg_locks as drawn
         where drawn.locktype = 'relation' and drawn.virtualtransaction = l.virtualtransaction
           and drawn.mode = 'RowExclusiveLock' and drawn.relation = (select sequence from parent)
           and drawn.database = l.database)
     order by l.virtualtransaction`,
    ['notification_log', 'notification_log_id_seq', 'published'].map((name) =>
      qualified(schema, name),
    ),
  );
  return (rows as Writer[]).sort((a, b) => Number(a.since) - Number(b.since));
}
