import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';

/** Channels and tables that can be searched for in the log. */
export type Known = {
  /** Channels that consumers read, or that were recently published on. */
  channels: string[];
  /** Tables of the database, and tables whose changes are among the newest notifications. */
  tables: { schema: string; name: string }[];
};

/** Reads them. Of the log, reads only the newest notifications: no index helps to find others. */
export async function readKnown(client: ClientBase, schema: string): Promise<Known> {
  const { rows } = await client.query<Known>(
    `with newest as materialized (
       select channel, relation from ${qualified(schema, 'notification_log')}
       order by id desc limit ${LOOKED_AT}
     )
     select array(
         select channel from newest
         union select read.channel
         from ${qualified(schema, 'consumer_progress')}, unnest(channels) as read (channel)
         where strpos(read.channel, '*') = 0 order by 1
       ) as channels,
       (select coalesce(json_agg(json_build_object('schema', t.schema, 'name', t.name)), '[]')
       from (
         select relation ->> 0 as schema, relation ->> 1 as name
         from newest where relation is not null
         union
         select n.nspname::text, c.relname::text
         from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname !~ '^pg_'
           and n.nspname <> 'information_schema' and n.nspname <> $1
         order by 1, 2
       ) as t) as tables`,
    [schema],
  );
  return rows[0] as Known;
}

/** How many of the newest notifications are read. */
export const LOOKED_AT = 10_000;
