import type { Client } from 'pg';
import { formatDuration } from '../../time.ts';

/** A session with an open transaction. */
export type Session = {
  pid: number;
  database: string | null;
  program: string;
  state: string | null;
  query: string | null;
  openMs: number;
};

/** Sessions with an open transaction that this role may see, in all databases, oldest first. */
export async function readSessions(client: Client): Promise<Session[]> {
  const { rows } = await client.query<Session>(
    `select pid, datname as database, application_name as program, state, left(query, 200) as query,
       extract(epoch from clock_timestamp() - xact_start)::float8 * 1000 as "openMs"
     from pg_stat_activity
     where backend_type = 'client backend' and xact_start is not null and pid <> pg_backend_pid()
     order by xact_start limit 10`,
  );
  return rows;
}

/**
 * 'pid 42 (psql, database "app") is idle in transaction, open for 6 min 0 s: select 1', for people.
 */
export function sessionText({ pid, database, program, state, query, openMs }: Session): string {
  const from = [program, database === null ? '' : `database "${database}"`]
    .filter(Boolean)
    .join(', ');
  const text = (query ?? '').replaceAll(/\s+/g, ' ').trim().slice(0, QUERY_CHARACTERS);
  const place = `pid ${pid}${from && ` (${from})`}`;
  const open = `open for ${formatDuration(openMs)}`;
  return `${place} is ${state ?? 'in a transaction'}, ${open}${text && `: ${text}`}`;
}

const QUERY_CHARACTERS = 80;
