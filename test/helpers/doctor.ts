import type { Config } from '../../src/config/define.ts';
import { withConnection } from '../../src/database/connect.ts';
import { CHECKS } from '../../src/inspect/doctor/checks.ts';
import { type Examination, examine } from '../../src/inspect/doctor/examine.ts';
import { LIMITS, type ServerLimits } from '../../src/inspect/doctor/limits.ts';

/** Runs one check of the doctor, or all. */
export async function diagnose(
  config: Config,
  name: string | 'all',
  limits: Partial<ServerLimits> = {},
): Promise<Examination> {
  const checks = CHECKS.filter((check) => name === 'all' || check.name === name);
  if (checks.length === 0) throw new Error(`There is no check ${name}.`);
  const target = { url: config.directUrl ?? config.url, tls: config.tls };
  return withConnection(target, (client) =>
    examine(client, { config, target, limits: { ...LIMITS, ...limits } }, checks),
  );
}

/** The findings of a check in short: 'problem: what'. */
export async function findingsOf(
  config: Config,
  name: string,
  limits: Partial<ServerLimits> = {},
): Promise<string[]> {
  const { findings } = await diagnose(config, name, limits);
  return findings.map(({ level, what }) => `${level}: ${what}`);
}

/** The findings without those about the server, which other tests use at the same time. */
export function ofDatabase<F extends { check: string }>(findings: readonly F[]): F[] {
  return findings.filter(({ check }) => !OF_SERVER.includes(check));
}

const OF_SERVER = ['version', 'settings', 'overrides', 'capacity', 'queue', 'transactions'];
