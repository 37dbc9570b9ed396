import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import type { ConnectOptions } from '../../database/target.ts';
import type { ServerLimits } from './limits.ts';

/**
 * problem: something is wrong, or will be. note: worth knowing, and fine for a while, or for ever.
 */
export type Severity = 'problem' | 'note';

/** What is wrong, why that matters, and the SQL or the command that mends it. */
export type Finding = { level: Severity; what: string; why: string; fix: string };

/**
 * What a check saw: findings, and in a few words what it looked at, for whoever reads that all is
 * well.
 */
export type CheckResult = { findings: Finding[]; seen: string };

/** One subject that the doctor looks at. */
export type Check = {
  /** One word or two with a hyphen, for programs. */
  name: string;
  /**
   * transaction: in one of its own that is read-only and limited in time. connection: outside of
   * any, for what a transaction does not let through.
   */
  runs: 'transaction' | 'connection';
  /** schema: our tables, of whatever version. current schema: those of this one. */
  needs: 'nothing' | 'schema' | 'current schema';
  /** Reads, and changes nothing. What it throws counts as "could not be checked". */
  run(client: Client, context: Context): Promise<CheckResult>;
};

/** What the checks go by. */
export type Context = {
  config: Config;
  /** Where the connection leads to that they are given. */
  target: ConnectOptions;
  limits: ServerLimits;
};
