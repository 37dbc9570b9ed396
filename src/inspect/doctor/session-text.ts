import { formatDuration } from '../../time.ts';

/** A session that has a transaction open. */
export type Session = {
  pid: number;
  database: string | null;
  program: string;
  state: string | null;
  query: string | null;
  openMs: number;
};

/** 'pid 42 (psql, database "app") is idle in transaction, open for 6 min 0 s: select 1', for people. */
export function sessionText({ pid, database, program, state, query, openMs }: Session): string {
  const from = [program, database === null ? '' : `database "${database}"`]
    .filter(Boolean)
    .join(', ');
  const text = (query ?? '').replaceAll(/\s+/g, ' ').trim().slice(0, QUERY_CHARACTERS);
  return `pid ${pid}${from && ` (${from})`} is ${state ?? 'in a transaction'}, open for ${formatDuration(openMs)}${text && `: ${text}`}`;
}

const QUERY_CHARACTERS = 80;
