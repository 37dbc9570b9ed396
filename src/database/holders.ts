import { formatDuration } from '../time.ts';
import type { Queryable } from './connect.ts';

/**
 * Describes the sessions that keep tables, or their rows, from being locked: the process, its
 * program, for how long, and its query.
 * @param options.isExclusive true if sessions that only read are also in the way
 */
export async function readHolders(
  client: Queryable,
  tableOids: readonly number[],
  { isExclusive = false } = {},
): Promise<string> {
  const { rows } = await client.query<{
    pid: number | null;
    program: string | null;
    state: string | null;
    ms: number | null;
    query: string | null;
  }>(
    `select l.pid, nullif(a.application_name, '') as program, a.state, left(a.query, 60) as query,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 * 1000 as ms
     from (
       select distinct pid from pg_catalog.pg_locks
       where relation = any($1) and granted
         and database = (select oid from pg_catalog.pg_database where datname = current_database())
         and pid is distinct from pg_catalog.pg_backend_pid()
         and ($2 or mode not in ('AccessShareLock', 'RowShareLock'))
     ) as l
     left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
     order by a.xact_start limit 3`,
    [tableOids, isExclusive],
  );
  const texts = rows.map(({ pid, program, state, ms, query }) => {
    if (pid === null) return 'a prepared transaction (see pg_prepared_xacts)';
    const duration = ms === null ? '' : ` for ${formatDuration(ms)}`;
    const who = `pid ${pid}${program ? ` (${program})` : ''}`;
    return `${who} is ${state ?? 'unknown'}${duration}: ${(query ?? '').replaceAll(/\s+/g, ' ')}`;
  });
  return texts.join('; ') || 'a session that has released it by now';
}
