import type { Queryable } from '../database/connect.ts';

/**
 * The name of a subscription or publication, and the tables of pgwatch's that it writes to or
 * contains.
 */
export type Replicated = { name: string; tables: string[] };

/** Reads the enabled subscriptions of this database that write to our tables. Any role may. */
export async function readSubscriptions(client: Queryable, schema: string): Promise<Replicated[]> {
  const { rows } = await client.query<Replicated>(
    `select s.subname::text as name, array_agg(own.name order by own.name) as tables
     from pg_catalog.pg_subscription as s
     join pg_catalog.pg_subscription_rel as r on r.srsubid = s.oid
     join (${OWN_TABLES_SQL}) as own on own.oid = r.srrelid
     where s.subenabled group by 1 order by 1`,
    [schema],
  );
  return rows;
}

/** Reads the publications that contain our tables. */
export async function readPublications(client: Queryable, schema: string): Promise<Replicated[]> {
  const { rows } = await client.query<Replicated>(
    `select p.pubname::text as name, array_agg(own.name order by own.name) as tables
     from pg_catalog.pg_publication_tables as p
     join (${OWN_TABLES_SQL}) as own on own.name = p.tablename and p.schemaname = $1
     group by 1 order by 1`,
    [schema],
  );
  return rows;
}

/** Our tables, by name: others may have tables in our schema. */
const OWN_TABLES_SQL = `
select c.oid, c.relname::text as name
from pg_catalog.pg_class as c
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = $1)
  and c.relkind in ('r', 'p')
  and (c.relname in ('notification_log', 'log_origin', 'published', 'consumer_progress',
      'consumer_channel', 'snapshot', 'delivery', 'discarded', 'daemon', 'lease', 'migration')
    or exists (
      select from pg_catalog.pg_inherits as i
      join pg_catalog.pg_class as log on log.oid = i.inhparent
      where i.inhrelid = c.oid and log.relname = 'notification_log'
        and log.relnamespace = c.relnamespace))`;
