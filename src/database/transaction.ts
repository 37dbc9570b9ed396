import pg, { type ClientBase } from 'pg';

/**
 * Runs the work in a transaction: commits what it did, or rolls it back and rethrows. Inside a
 * transaction it is a part of that one.
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

/** Begins a transaction to which settings are confined, whatever the database's default is. */
export function beginWith(settings: Settings): string {
  return `begin isolation level read committed; ${settingsSql(settings, 'transaction')}`;
}

/** Changes server settings until the session or the transaction ends. */
export function settingsSql(settings: Settings, scope: 'session' | 'transaction'): string {
  const calls = Object.entries(settings).map(([name, value]) => {
    const call = `pg_catalog.set_config('${name}', ${pg.escapeLiteral(value)}, ${scope === 'transaction'})`;
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
 * For a transaction in which others wait for what it has locked: the server ends one that stands
 * still, as in a process that is frozen, after so long.
 */
export const STANDSTILL_MAX = '5s';

/** Server settings, by name. */
export type Settings = Readonly<Record<string, string>>;
