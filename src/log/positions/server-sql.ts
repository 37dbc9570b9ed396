/**
 * What tells one run of a server, and one database in it, from all others, as an expression.
 * Positions and leases that this process has reached count for nothing anywhere else: other
 * notifications get the ids and xids that they name. It is another run
 * - where a server was started since: it may be another server, after a failover;
 * - where it has recovered from the crash of one of its processes, which its start time does not
 *   show. Recovery loses the last commits that nobody waited for, and it discards the statistics.
 *   They begin anew at that moment; where somebody resets them by hand, consumers are taken over
 *   once more, and nothing else happens;
 * - where another database has got the name, as after a restore beside it.
 */
export const SERVER = `pg_catalog.concat_ws(' ',
  extract(epoch from pg_catalog.pg_postmaster_start_time()),
  extract(epoch from pg_catalog.pg_stat_get_bgwriter_stat_reset_time()),
  (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))`;

/**
 * The same, and when a consumer was registered: of its row, as progress, what a Claim has as its
 * server.
 */
export const CLAIMED_ON = `pg_catalog.concat_ws(' ', ${SERVER}, extract(epoch from progress.created_at))`;
