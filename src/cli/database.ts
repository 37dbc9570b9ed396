import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import { PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import { type CommonOptions, configFor, reporterFor, warnUnverified } from './options.ts';

export type Access = {
  /**
   * bare: the database may lack our tables. read: it has them; if one is locked, reading fails
   * after a few seconds. change: it has them; changes wait for locks.
   */
  mode: 'bare' | 'read' | 'change';
  /** Consumers that must exist. */
  consumers?: readonly string[];
};

/**
 * Runs the work with a direct connection to the database that the options name.
 * @throws PgwatchError connection_failed; server_unsuitable with a transaction pooler;
 *   schema_missing and the like; consumer_unknown; table_locked
 */
export async function withDatabase<T>(
  options: CommonOptions,
  { mode, consumers = [] }: Access,
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  const { withConnection } = await import('../database/connect.ts');
  const { requireSession } = await import('../database/pooler.ts');
  const { pinSettings } = await import('../database/settings.ts');
  const { directTarget } = await import('../database/target.ts');
  const config = await configFor(options);
  await warnUnverified(config, reporterFor(options));
  const { schema } = config;
  const target = directTarget(config);
  return withConnection(target, async (client) => {
    await requireSession(client, target);
    await pinSettings(client);
    if (mode === 'bare') return work(client, config);
    const checked = async () => {
      const { requireCurrentSchema } = await import('../database/migrate.ts');
      await requireCurrentSchema(client, config);
      if (consumers.length > 0) await requireKnown(client, schema, consumers);
      return work(client, config);
    };
    if (mode === 'change') return checked();
    const { readPatiently } = await import('./patient-reading.ts');
    return readPatiently(client, schema, checked);
  });
}

async function requireKnown(client: Client, schema: string, ids: readonly string[]): Promise<void> {
  const { listConsumerIds } = await import('../log/deliveries/dead-letters.ts');
  const known = await listConsumerIds(client, schema);
  const unknown = ids.find((id) => !known.includes(id));
  if (unknown === undefined) return;
  const list = known.length > 0 ? `It has: ${known.join(', ')}.` : 'It has none yet.';
  throw new PgwatchError(
    'consumer_unknown',
    `There is no consumer "${unknown}" in the database.${suggest(unknown, known)} ${list} ` +
      '"pgwatch listen" registers the ones it runs.',
  );
}
