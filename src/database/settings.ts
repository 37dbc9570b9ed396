import type { ClientBase } from 'pg';
import { type Settings, settingsSql } from './transaction.ts';

/**
 * How values are written as text: what notify_data_change() sets, too, so that a value looks the
 * same in the log whoever wrote it, and here.
 */
export const VALUE_FORMATS: Settings = {
  bytea_output: 'hex',
  datestyle: 'ISO, MDY',
  extra_float_digits: '1',
  intervalstyle: 'postgres',
  lc_monetary: 'C',
  quote_all_identifiers: 'off',
  timezone: 'UTC',
};

/**
 * What every connection of ours begins with, whatever the server, the database, the role, PGOPTIONS
 * or the connection string say: nothing that pgwatch does may depend on these. Left as they are:
 * where new tables go, what is durable, and who may write (default_tablespace, synchronous_commit,
 * default_transaction_read_only, session_replication_role, role). Those are decisions of an
 * administrator, and the doctor speaks of them.
 */
export const OWN_SETTINGS: Settings = {
  ...VALUE_FORMATS,
  client_encoding: 'UTF8',
  lc_numeric: 'C',
  lc_time: 'C',
  xmlbinary: 'base64',
  xmloption: 'content',
  // What text means.
  array_nulls: 'on',
  backslash_quote: 'safe_encoding',
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  // Operators and functions are PostgreSQL's own, whatever others have put into schema public.
  search_path: 'pg_catalog, pg_temp',
  check_function_bodies: 'on',
  default_table_access_method: 'heap',
  row_security: 'on',
  restrict_nonsystem_relation_kind: '',
  // Where a database's default is serializable, reading the log would abort those who write it.
  default_transaction_deferrable: 'off',
  default_transaction_isolation: 'read committed',
  // What may take long has a deadline of its own.
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  lock_timeout: '0',
  statement_timeout: '0',
  transaction_timeout: '0',
  // One statistic is read, not all of them.
  stats_fetch_consistency: 'cache',
  // Plans: custom ones where they pay.
  jit: 'off',
  plan_cache_mode: 'auto',
};

/** Pins the settings of a connection that is ours alone, until it ends. */
export async function pinSettings(client: ClientBase, more: Settings = {}): Promise<void> {
  await client.query(settingsSql({ ...OWN_SETTINGS, ...more }, 'session'));
}
