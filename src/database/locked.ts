import type { ClientBase } from 'pg';
import { formatDuration } from '../time.ts';

/**
 * A table that cannot be read: a session holds an exclusive lock or waits for one, and all later
 * sessions wait behind it.
 */
export type LockedTable = {
  table: string;
  /** Sessions that hold the exclusive lock, or that block those waiting for it. */
  holders: LockSession[];
  /** Sessions that wait for the exclusive lock. */
  waiters: LockSession[];
};

/** A session; what this role may not see is null. */
export type LockSession = {
  /** 0 for a prepared transaction. */
  pid: number;
  program: string | null;
  state: string | null;
  query: string | null;
  /**
   * How long its transaction has been open or, if it waits, how long it has waited. Null if this
   * role may not see it.
   */
  ms: number | null;
};

/** Reads which tables of a schema cannot be read now, and why. Does not read the tables. */
export async function readLockedTables(client: ClientBase, schema: string): Promise<LockedTable[]> {
  // Only an access exclusive lock blocks readers, and so does a session that waits for one. Locking
  // a table locks its partitions as well.
  const { rows } = await client.query<LockedTable>(
    `with locked as materialized (
       select l.pid, l.granted, l.waitstart, c.relname, c.oid
       from pg_catalog.pg_locks as l
       join pg_catalog.pg_class as c on c.oid = l.relation
       join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
       where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and n.nspname = $1
         and l.database = (
           select oid from pg_catalog.pg_database where datname = current_database())
         and l.pid is distinct from pg_catalog.pg_backend_pid()
     ), exclusive as (
       select * from locked as l where not exists (
         select from pg_catalog.pg_inherits as i join locked as parent on parent.oid = i.inhparent
         where i.inhrelid = l.oid and parent.pid is not distinct from l.pid)
     ), session as (
       select oid, relname, pid, null::timestamptz as since, 'holders' as role
         from exclusive where granted
       union
       select oid, relname, pid, waitstart, 'waiters' from exclusive where not granted
       union
       select e.oid, e.relname, b.pid, null, 'holders'
         from exclusive as e cross join unnest(pg_catalog.pg_blocking_pids(e.pid)) as b (pid)
         where not e.granted
           and not exists (
             select from exclusive as o where o.oid = e.oid and o.pid = b.pid and not o.granted)
     ), told as (
       select s.relname, s.role, s.pid, pg_catalog.json_build_object(
         'pid', coalesce(s.pid, 0), 'program', nullif(a.application_name, ''), 'state', a.state,
         'query', left(a.query, 60),
         'ms', extract(epoch from clock_timestamp() - coalesce(s.since, a.xact_start)) * 1000
       ) as session
       from session as s left join pg_catalog.pg_stat_activity as a on a.pid = s.pid
     )
     select relname::text as table,
       coalesce(pg_catalog.json_agg(session order by pid) filter (where role = 'holders'), '[]')
         as holders,
       coalesce(pg_catalog.json_agg(session order by pid) filter (where role = 'waiters'), '[]')
         as waiters
     from told group by relname order by relname`,
    [schema],
  );
  return rows;
}

/**
 * Describes the sessions: 'pid 4711 (psql) holds it, idle in transaction for 5 min 0 s: lock table
 * …; pid 4712 waits …'.
 */
export function lockedText({ holders, waiters }: LockedTable): string {
  return [
    ...holders.map((session) => sessionText(session, 'holds it')),
    ...waiters.map((session) => sessionText(session, 'waits to lock it')),
  ]
    .slice(0, SESSIONS)
    .join('; ');
}

/** The statement that unlocks the table. */
export function unlockSql({ holders, waiters }: LockedTable): string {
  const session = holders.find(({ pid }) => pid !== 0) ?? waiters[0];
  return session
    ? `select pg_terminate_backend(${session.pid});`
    : 'commit or roll back what pg_prepared_xacts shows.';
}

function sessionText({ pid, program, state, query, ms }: LockSession, does: string): string {
  if (pid === 0) return `a prepared transaction ${does} (see pg_prepared_xacts)`;
  const since = ms === null ? '' : ` for ${formatDuration(ms)}`;
  const how = state === null ? since : `, ${state}${since}`;
  const text = query ? `: ${query.replaceAll(/\s+/g, ' ').trim()}` : '';
  return `pid ${pid}${program ? ` (${program})` : ''} ${does}${how}${text}`;
}

const SESSIONS = 4;
