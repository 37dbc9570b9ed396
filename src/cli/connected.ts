import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import { type CommonOptions, configFor } from './options.ts';

/** Runs the work with a direct connection to the database that the options name. */
export async function connected<T>(
  options: CommonOptions,
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  const { withConnection } = await import('../database/connect.ts');
  const config = await configFor(options);
  return withConnection({ url: config.directUrl ?? config.url }, async (client) => {
    // A powerful role often runs this: it must not meet functions that others put into schema
    // public.
    await client.query('set search_path = pg_catalog, pg_temp');
    return work(client, config);
  });
}
