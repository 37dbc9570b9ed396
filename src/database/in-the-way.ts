import { type AdvisoryHolder, advisoryText, readAdvisoryHolders } from './advisory.ts';
import type { Queryable } from './connect.ts';

/**
 * Describes transactions of others that keep daemons waiting, in one sentence each. Leaves out
 * short ones.
 */
export async function readInTheWay(
  client: Queryable,
  schema: string,
  heldMs = HELD_MS,
): Promise<string[]> {
  const isLong = ({ ms }: AdvisoryHolder) => ms === null || ms >= heldMs;
  const locks = (await readAdvisoryHolders(client, schema)).filter(isLong);
  const rows = (await readIdleWriters(client, schema)).filter(isLong);
  return [
    ...locks.map((holder) => `${advisorySentence(holder)} ${remedy(holder)}`),
    ...rows.map((holder) => `${rowsSentence(holder, schema)} ${ROWS_WHY} ${remedy(holder)}`),
  ];
}

/** 'The advisory lock for cleanup is held by pid 4711 …'. */
export function advisorySentence(holder: AdvisoryHolder): string {
  return `The advisory lock for ${holder.what} is held by ${advisoryText(holder)}.`;
}

/** 'Rows of pgwatch.lease may be held by pid 4711 …'. */
export function rowsSentence(holder: AdvisoryHolder, schema: string): string {
  return `Rows of ${schema}.${holder.what} may be held by ${advisoryText(holder)}.`;
}

/** What to do about a holder. */
export function remedy({ pid }: AdvisoryHolder): string {
  return pid === null
    ? 'Commit or roll back what pg_prepared_xacts shows.'
    : `Wait until that is done, or end it: select pg_terminate_backend(${pid});`;
}

/**
 * Reads sessions that are idle in a transaction in which they changed or locked rows of consumers,
 * and prepared transactions that did. Daemons are left out: they are idle while a handler has their
 * transaction.
 */
export async function readIdleWriters(
  client: Queryable,
  schema: string,
): Promise<AdvisoryHolder[]> {
  const { rows } = await client.query(
    `select string_agg(distinct c.relname, ', ') as what, l.pid, a.usename::text as role,
       nullif(a.application_name, '') as program, a.state, left(a.query, 60) as query,
       (extract(epoch from clock_timestamp() - a.state_change) * 1000)::float8 as ms
     from pg_catalog.pg_locks as l
     join pg_catalog.pg_class as c on c.oid = l.relation
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = $1
     left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
     where l.locktype = 'relation' and l.granted and c.relname = any($2)
       and l.mode not in ('AccessShareLock', 'AccessExclusiveLock')
       and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
       and (l.pid is null or a.state like 'idle in transaction%'
         and a.application_name not like 'pgwatch%')
     group by l.virtualtransaction, l.pid, a.usename, a.application_name, a.state, a.query,
       a.state_change
     order by l.pid limit 20`,
    [schema, ['consumer_progress', 'delivery', 'lease']],
  );
  return rows as AdvisoryHolder[];
}

/** Why held rows are a problem. */
export const ROWS_WHY = 'Daemons that need them wait.';
/** Longer than daemons ever hold a lock. */
const HELD_MS = 5_000;
