import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import type { ConnectOptions } from '../../database/target.ts';
import type { ServerLimits } from './limits.ts';

/** problem: something is wrong, or will be. note: worth knowing, but fine for now, or for good. */
export type Severity = 'problem' | 'note';

/** What is wrong, why it matters, and the SQL or the command that fixes it. */
export type Finding = { level: Severity; what: string; why: string; fix: string };

/** The findings of a check, and in a few words what it looked at, shown if all is well. */
export type CheckResult = { findings: Finding[]; seen: string };

/** One subject that the doctor checks. */
export type Check = {
  /** One word, or two with a hyphen, for programs. */
  name: string;
  /**
   * transaction: in its own transaction, which is read-only and limited in time. connection:
   * outside a transaction, for statements that cannot run in one.
   */
  runs: 'transaction' | 'connection';
  /** schema: our tables, in any version. current schema: our tables in this version. */
  needs: 'nothing' | 'schema' | 'current schema';
  /** Changes nothing. An error counts as "could not be checked". */
  run(client: Client, context: Context): Promise<CheckResult>;
};

/** What a check is given. */
export type Context = {
  config: Config;
  /** Where its connection leads. */
  target: ConnectOptions;
  limits: ServerLimits;
};
