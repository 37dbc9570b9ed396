/**
 * An expression that identifies one run of a server, and one database on it. Positions and leases
 * from this run are not valid anywhere else, because other notifications get the ids and xids that
 * they refer to. It is another run
 * - if the server was started since: after a failover, it may be another server;
 * - if it recovered from the crash of one of its processes, which its start time does not show.
 *   Recovery loses the last asynchronous commits, and discards the statistics, which start again at
 *   that moment. If they are reset manually, consumers are taken over again, and nothing else
 *   happens;
 * - if another database has the name now, for example after a restore next to it.
 */
export const SERVER = `pg_catalog.concat_ws(' ',
  extract(epoch from pg_catalog.pg_postmaster_start_time()),
  extract(epoch from pg_catalog.pg_stat_get_bgwriter_stat_reset_time()),
  (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))`;

/**
 * The same, plus when the consumer was registered: the server of a Claim, for a row with the alias
 * progress.
 */
export const CLAIMED_ON = `pg_catalog.concat_ws(' ', ${SERVER},
  extract(epoch from progress.created_at))`;
