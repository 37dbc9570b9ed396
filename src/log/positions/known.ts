import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';

/** What can be looked for in the log. */
export type Known = {
  /** Those that consumers read, or that were lately published on. */
  channels: string[];
  /** Those of the database, and those whose changes are among the newest. */
  tables: { schema: string; name: string }[];
};

/** Reads what is known: of the log only the newest, since no index leads to the others. */
export async function readKnown(client: ClientBase, schema: string): Promise<Known> {
  const { rows } = await client.query<Known>(
    `with newest as materialized (
       select channel, relation from ${qualified(schema, 'notification_log')} order by id desc limit ${LOOKED_AT}
     )
     select array(
         select channel from newest
         union select unnest(channels) from ${qualified(schema, 'consumer_progress')} order by 1
       ) as channels,
       (select coalesce(json_agg(json_build_object('schema', t.schema, 'name', t.name)), '[]') from (
         select relation ->> 0 as schema, relation ->> 1 as name from newest where relation is not null
         union
         select n.nspname::text, c.relname::text from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname <> $1
         order by 1, 2
       ) as t) as tables`,
    [schema],
  );
  return rows[0] as Known;
}

/** How many of the newest notifications are looked at. */
export const LOOKED_AT = 10_000;
