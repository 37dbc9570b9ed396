import {
  type Command,
  InvalidArgumentError,
  Option,
  type OptionValues,
} from '@commander-js/extra-typings';
import type { Config } from '../config/define.ts';
import { type Reporter, StreamReporter } from '../reporter.ts';
import { parseDurationMs } from '../time.ts';

/** What a command reports to the process. */
export type CommandResult = { exitCode: number };

/** The option values of a command, derived from the function that declares it. */
export type OptionsOf<Declare extends (...args: never) => { opts(): unknown }> = ReturnType<
  ReturnType<Declare>['opts']
>;

/** The options that every command has if it uses a database. */
export type CommonOptions = OptionsOf<typeof addCommonOptions<NoOptions>>;
type NoOptions = Record<never, never>;

/**
 * Adds the options of commands that use a database. They come before the command's own options,
 * because types derived from options that are not known yet grow exponentially.
 */
export function addCommonOptions<GlobalOpts extends OptionValues>(
  command: Command<[], NoOptions, GlobalOpts>,
) {
  return command.addOption(DATABASE_URL).addOption(CONFIG).addOption(LOG_FORMAT).addOption(VERBOSE);
}

/** Adds the options of commands that bring their own database. */
export function addLocalOptions(command: Command) {
  return command.addOption(CONFIG).addOption(LOG_FORMAT).addOption(VERBOSE);
}

/** Adds the options of commands that read no config. */
export function addReportOptions(command: Command) {
  return command.addOption(LOG_FORMAT).addOption(VERBOSE);
}

/** Declares --limit: how many entries a list shows at most. */
export function limitOption(description: string) {
  return new Option('--limit <n>', description)
    .argParser(wholeNumber(1, LIMIT_MAX))
    .default(LIMIT_DEFAULT);
}

/** The configuration with the command's flags applied. */
export async function configFor(
  options: CommonOptions,
  flags: Record<string, unknown> = {},
): Promise<Config> {
  const { loadConfig } = await import('../config/load.ts');
  return loadConfig({ file: options.config, flags: { url: options.databaseUrl, ...flags } });
}

export function reporterFor(options: CommonOptions): StreamReporter {
  return new StreamReporter({
    format: options.logFormat,
    level: options.verbose ? 'debug' : 'info',
  });
}

/** Warns loudly if a machine in the middle could pose as the server. */
export async function warnUnverified(config: Config, reporter: Reporter): Promise<void> {
  const { describeHost, isUnverified, targetsOf } = await import('../database/target.ts');
  for (const each of targetsOf(config)) {
    if (!isUnverified(each)) continue;
    reporter.warn(
      `The certificate of ${describeHost(each)} is NOT VERIFIED: anyone between here ` +
        'and the server can read and change everything. Remove no-verify from tls or sslmode; ' +
        'for a certificate authority of your own, set sslrootcert.',
    );
  }
}

/** Returns a parser for whole numbers in a range, bounds included. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`Give a whole number ${range}.`);
  };
}

/** Parses a number of seconds, fractions allowed, into a duration for the config. */
export function parseSeconds(text: string): string {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0.01)) {
    throw new InvalidArgumentError('Give a number of seconds, from 0.01, without a unit.');
  }
  return `${seconds}s`;
}

/**
 * Parses a duration into milliseconds. It must have a unit: a bare number would be milliseconds,
 * where the user may mean days.
 */
export function parseAge(text: string): number {
  const ageMs = /[a-z]$/.test(text) ? parseDurationMs(text) : undefined;
  if (ageMs === undefined) {
    throw new InvalidArgumentError('Give a duration with its unit, like 30m, 2h or 7d.');
  }
  return ageMs;
}

/** Splits the values of an option that takes several, separated by spaces or commas. */
export function splitList(values: readonly string[] | undefined): string[] | undefined {
  return values?.flatMap((value) => value.split(',')).filter((value) => value !== '');
}

/** Heads the options that all commands share, in their help. */
export const COMMON_HEADING = 'Connection and reports:';

const DATABASE_URL = new Option(
  '--database-url <url>',
  'connection string (default: DATABASE_URL, else PGHOST and so on)',
).helpGroup(COMMON_HEADING);

const CONFIG = new Option(
  '--config <file>',
  'config file (default: pgwatch.config.ts or similar, if there is one)',
).helpGroup(COMMON_HEADING);

const LOG_FORMAT = new Option('--log-format <format>', 'format of the reports on stderr')
  .choices(['text', 'json'])
  .default('text')
  .helpGroup(COMMON_HEADING);

const VERBOSE = new Option('--verbose', 'report details, and stack traces of errors').helpGroup(
  COMMON_HEADING,
);

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 10_000;
