import { formatDuration } from '../time.ts';
import type { Queryable } from './connect.ts';
import { qualified } from './names.ts';

/** A session that holds one of our advisory locks. In PostgreSQL, any role can take them. */
export type AdvisoryHolder = {
  /** What needs the lock. */
  what: string;
  /** Null for a prepared transaction. */
  pid: number | null;
  role: string | null;
  program: string | null;
  state: string | null;
  query: string | null;
  /** How long its transaction or state has lasted; null if this role may not see it. */
  ms: number | null;
};

/** Reads who holds exclusively the locks of shared consumers, cleanup, migrations and doorbells. */
export async function readAdvisoryHolders(
  client: Queryable,
  schema: string,
): Promise<AdvisoryHolder[]> {
  const { rows } = await client.query(
    `with wanted as (
       select 'the work of shared consumer ' || consumer_id as what,
         pg_catalog.hashtextextended('pgwatch shared ' || $1::text || ' ' || consumer_id, 0) as key
       from ${qualified(schema, 'consumer_progress')} where is_shared
       union all
       select 'cleanup', pg_catalog.hashtextextended('pgwatch cleanup ' || $1::text, 0)
       union all
       select 'migrations', pg_catalog.hashtextextended('pgwatch migrate ' || $1::text, 0)
     ), part as (
       select what, ((key >> 32) & 4294967295)::oid as classid,
         (key & 4294967295)::oid as objid, 1 as subid
       from wanted
       union all
       select 'the doorbell of channel ' || channel,
         (pg_catalog.hashtext('pgwatch doorbell ' || $1::text)::bigint & 4294967295)::oid,
         (pg_catalog.hashtext(channel)::bigint & 4294967295)::oid, 2
       from (
         select distinct case when strpos(read.channel, '*') > 0 then '*' else read.channel end
           as channel
         from ${qualified(schema, 'consumer_progress')}, unnest(channels) as read (channel)) as c
     )
     select p.what, l.pid, a.usename::text as role, nullif(a.application_name, '') as program,
       a.state, left(a.query, 60) as query, (extract(epoch from clock_timestamp()
         - coalesce(a.xact_start, a.state_change)) * 1000)::float8 as ms
     from part as p
     join pg_catalog.pg_locks as l
       on l.locktype = 'advisory' and l.granted and l.mode = 'ExclusiveLock'
       and l.classid = p.classid and l.objid = p.objid and l.objsubid = p.subid
       and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
       and l.pid is distinct from pg_catalog.pg_backend_pid()
     left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
     order by p.what, l.pid limit 20`,
    [schema],
  );
  return rows as AdvisoryHolder[];
}

/** Describes a holder: 'pid 4711 (psql) of role x, active for 5 s: select …'. */
export function advisoryText({ pid, role, program, state, query, ms }: AdvisoryHolder): string {
  if (pid === null) return 'a prepared transaction (see pg_prepared_xacts)';
  const who = `pid ${pid}${program ? ` (${program})` : ''}${role ? ` of role ${role}` : ''}`;
  const how = state === null ? '' : `, ${state}${ms === null ? '' : ` for ${formatDuration(ms)}`}`;
  const text = query ? `: ${query.replaceAll(/\s+/g, ' ').trim()}` : '';
  return `${who}${how}${text}`;
}
