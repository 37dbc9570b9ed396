import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import type { Access } from '../service/access.ts';
import { type CommonOptions, configFor, reporterFor, warnUnverified } from './options.ts';

export type { Access };

/**
 * Runs the work with a direct connection to the database that the options name.
 * @throws as withAccess
 */
export async function withDatabase<T>(
  options: CommonOptions,
  access: Access,
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  const { withAccess } = await import('../service/access.ts');
  const config = await configFor(options);
  await warnUnverified(config, reporterFor(options));
  return withAccess(config, access, work);
}
