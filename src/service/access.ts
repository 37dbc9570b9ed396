import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import { withConnection } from '../database/connect.ts';
import { requireCurrentSchema } from '../database/migrate.ts';
import { requireSession } from '../database/pooler.ts';
import { pinSettings } from '../database/settings.ts';
import { directTarget } from '../database/target.ts';
import { PgwatchError } from '../errors.ts';
import { listConsumerIds } from '../log/deliveries/dead-letters.ts';
import { suggest } from '../suggest.ts';
import { readPatiently } from './patient-reading.ts';

export type Access = {
  /**
   * bare: the database may lack our tables. read: it has them; if one is locked, reading fails
   * after a few seconds. change: it has them; changes wait for locks.
   */
  mode: 'bare' | 'read' | 'change';
  /** Consumers that must exist. */
  consumers?: readonly string[];
};

/** Runs the work with a direct connection, like withAccess(). */
export type RunAccess = <T>(
  access: Access,
  work: (client: Client, config: Config) => Promise<T>,
) => Promise<T>;

/**
 * Runs the work with a direct connection to the database of a config.
 * @throws PgwatchError connection_failed; server_unsuitable with a transaction pooler;
 *   schema_missing and the like; consumer_unknown; table_locked
 */
export async function withAccess<T>(
  config: Config,
  { mode, consumers = [] }: Access,
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  const target = directTarget(config);
  return withConnection(target, async (client) => {
    await requireSession(client, target);
    await pinSettings(client);
    if (mode === 'bare') return work(client, config);
    const checked = async () => {
      await requireCurrentSchema(client, config);
      if (consumers.length > 0) await requireKnown(client, config.schema, consumers);
      return work(client, config);
    };
    return mode === 'change' ? checked() : readPatiently(client, config.schema, checked);
  });
}

async function requireKnown(client: Client, schema: string, ids: readonly string[]): Promise<void> {
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
