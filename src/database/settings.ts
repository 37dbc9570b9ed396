import type { ClientBase } from 'pg';
import { type Settings, settingsSql } from './transaction.ts';

/**
 * How values are written as text. notify_data_change() sets the same, so a value looks the same in
 * the log, whoever wrote it, and here.
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
 * The settings of every connection of ours, whatever the server, the database, the role, PGOPTIONS
 * or the connection string say: pgwatch must not depend on those. Not set are: where new tables go,
 * what is durable, and who may write (default_tablespace, synchronous_commit,
 * default_transaction_read_only, session_replication_role, role). These are decisions of an
 * administrator, and the doctor reports them.
 */
export const OWN_SETTINGS: Settings = {
  ...VALUE_FORMATS,
  client_encoding: 'UTF8',
  lc_numeric: 'C',
  lc_time: 'C',
  xmlbinary: 'base64',
  xmloption: 'content',
  // How text is interpreted.
  array_nulls: 'on',
  backslash_quote: 'safe_encoding',
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  // Operators and functions are PostgreSQL's own, whatever others have created in schema public.
  search_path: 'pg_catalog, pg_temp',
  check_function_bodies: 'on',
  default_table_access_method: 'heap',
  row_security: 'on',
  restrict_nonsystem_relation_kind: '',
  // If a database's default is serializable, reading the log would abort writers.
  default_transaction_deferrable: 'off',
  default_transaction_isolation: 'read committed',
  // Work that may take long has its own deadline.
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  lock_timeout: '0',
  statement_timeout: '0',
  transaction_timeout: '0',
  // Reads single statistics, not all of them.
  stats_fetch_consistency: 'cache',
  // Custom plans where they are worth it.
  jit: 'off',
  plan_cache_mode: 'auto',
};

/** Pins the settings of a connection that only we use, until it ends. */
export async function pinSettings(client: ClientBase, more: Settings = {}): Promise<void> {
  await client.query(settingsSql({ ...OWN_SETTINGS, ...more }, 'session'));
}
