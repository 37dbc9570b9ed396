import pg, { type ClientBase } from 'pg';

/**
 * Runs the work in a transaction, which is committed, or rolled back if the work throws. If one is
 * already open, the work becomes part of it.
 * @param begin the statement that begins it
 */
export async function withTransaction<C extends ClientBase, T>(
  client: C,
  work: (client: C) => Promise<T>,
  begin = 'begin',
): Promise<T> {
  if (client.getTransactionStatus() === 'T') return work(client);
  await client.query(begin);
  try {
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (thrown) {
    // The first error tells why; a rollback on a broken connection only repeats it.
    await client.query('rollback').catch(() => {});
    throw thrown;
  }
}

/** Begins a transaction with settings that end with it, whatever the database's defaults are. */
export function beginWith(settings: Settings): string {
  return `begin isolation level read committed; ${settingsSql(settings, 'transaction')}`;
}

/** Changes server settings until the session or the transaction ends. */
export function settingsSql(settings: Settings, scope: 'session' | 'transaction'): string {
  const calls = Object.entries(settings).map(([name, value]) => {
    const isLocal = scope === 'transaction';
    const call = `pg_catalog.set_config('${name}', ${pg.escapeLiteral(value)}, ${isLocal})`;
    // Older servers do not know it.
    return NEWER.has(name)
      ? `case when pg_catalog.current_setting('${name}', true) is not null then ${call} end`
      : call;
  });
  return `select ${calls.join(', ')}`;
}

/** Settings that not every supported version has. */
const NEWER = new Set([
  'restrict_nonsystem_relation_kind',
  'stats_fetch_consistency',
  'transaction_timeout',
]);

/**
 * The idle timeout for a transaction that holds locks which others wait for: the server ends it
 * after this time, for example if its process is frozen.
 */
export const STANDSTILL_MAX = '5s';

/** Server settings, by name. */
export type Settings = Readonly<Record<string, string>>;
