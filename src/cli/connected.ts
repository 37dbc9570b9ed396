import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import { type CommonOptions, configFor, reporterFor, warnUnverified } from './options.ts';

/**
 * Runs the work with a direct connection to the database that the options name.
 * @throws PgwatchError connection_failed, server_unsuitable behind a transaction pooler
 */
export async function connected<T>(
  options: CommonOptions,
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  const { withConnection } = await import('../database/connect.ts');
  const { requireSession } = await import('../database/pooler.ts');
  const { pinSettings } = await import('../database/settings.ts');
  const config = await configFor(options);
  await warnUnverified(config, reporterFor(options));
  const { directUrl, url, tls } = config;
  const target = { url: directUrl ?? url, tls };
  return withConnection(target, async (client) => {
    await requireSession(client, target);
    await pinSettings(client);
    return work(client, config);
  });
}

/**
 * Runs the work with a connection to a database that has our tables.
 * @throws PgwatchError schema_missing and the like
 */
export function withSchema<T>(
  options: CommonOptions,
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  return connected(options, async (client, config) => {
    const { requireCurrentSchema } = await import('../database/migrate.ts');
    await requireCurrentSchema(client, config);
    return work(client, config);
  });
}

/**
 * The same for work that only reads, and that gives up where somebody else has locked a table.
 * @throws PgwatchError table_locked besides
 */
export function withSchemaToRead<T>(
  options: CommonOptions,
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  return connected(options, async (client, config) => {
    const { requireCurrentSchema } = await import('../database/migrate.ts');
    const { readPatiently } = await import('./patient-reading.ts');
    return readPatiently(client, config.schema, async () => {
      await requireCurrentSchema(client, config);
      return work(client, config);
    });
  });
}
