import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/define.ts';
import { Reporter, type ReportFormat } from '../reporter.ts';
import { parseDurationMs } from '../time.ts';

/** What a command leaves behind for the process. */
export type CommandResult = { exitCode: number };

/** What every command that uses a database accepts. */
export type CommonOptions = {
  databaseUrl?: string;
  config?: string;
  logFormat: ReportFormat;
  verbose?: boolean;
};

/** Adds the options of CommonOptions to a command. */
export function addCommonOptions(command: Command): Command {
  return addLocalOptions(
    command.addOption(
      common(
        '--database-url <url>',
        'connection string (default: DATABASE_URL, else PGHOST and so on)',
      ),
    ),
  );
}

/** The same for a command that has a database of its own. */
export function addLocalOptions(command: Command): Command {
  return addReportOptions(
    command.addOption(
      common(
        '--config <file>',
        'config file (default: pgwatch.config.ts and the like, if there is one)',
      ),
    ),
  );
}

/** The same for a command that goes by no config. */
export function addReportOptions(command: Command): Command {
  return command
    .addOption(
      common('--log-format <format>', 'how reports are printed on stderr')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addOption(common('--verbose', 'report details, and stacks of errors'));
}

/** Described behind what a command has for itself. */
function common(flags: string, description: string): Option {
  return new Option(flags, description).helpGroup(COMMON_HEADING);
}

/** The configuration with the command's flags applied. */
export async function configFor(
  options: CommonOptions,
  flags: Record<string, unknown> = {},
): Promise<Config> {
  const { loadConfig } = await import('../config/load.ts');
  return loadConfig({ file: options.config, flags: { url: options.databaseUrl, ...flags } });
}

export function reporterFor(options: CommonOptions): Reporter {
  return new Reporter({ format: options.logFormat, level: options.verbose ? 'debug' : 'info' });
}

/** Says loudly where whoever is on the way could pose as the server. */
export async function warnUnverified(config: Config, reporter: Reporter): Promise<void> {
  const { describeHost, isUnverified } = await import('../database/target.ts');
  const { url, directUrl, tls } = config;
  for (const each of new Set([url, directUrl ?? url])) {
    if (!isUnverified({ url: each, tls })) continue;
    reporter.warn(
      `The certificate of ${describeHost({ url: each })} is NOT VERIFIED: anybody on the way to it can read and change everything. Take no-verify out of tls or sslmode, and name an authority of your own by sslrootcert.`,
    );
  }
}

/** A parser for a whole number in a range, ends included. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`Give a whole number ${range}.`);
  };
}

/** A number of seconds, fractions allowed, as a duration for the config. */
export function parseSeconds(text: string): string {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0.01)) {
    throw new InvalidArgumentError('Give a number of seconds, from 0.01, without a unit.');
  }
  return `${seconds}s`;
}

/**
 * A duration with its unit, in milliseconds: a bare number would be milliseconds, meant as days.
 */
export function parseAge(text: string): number {
  const ageMs = /[a-z]$/.test(text) ? parseDurationMs(text) : undefined;
  if (ageMs === undefined) {
    throw new InvalidArgumentError('Give a duration with its unit, like 30m, 2h or 7d.');
  }
  return ageMs;
}

/** Values of an option that may be repeated or hold several, with spaces or commas between. */
export function splitList(values: readonly string[] | undefined): string[] | undefined {
  return values?.flatMap((value) => value.split(',')).filter((value) => value !== '');
}

/** Over the options that all commands have, in their help. */
export const COMMON_HEADING = 'Connection and reports:';
