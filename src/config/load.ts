import { dirname, relative, resolve } from 'node:path';
import { PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import { checkOptions, OPTION_NAMES, type OptionSource } from './check.ts';
import type { Config } from './define.ts';
import type { FoundFile } from './file.ts';

export type LoadOptions = {
  /**
   * The folder to search for a config file, to which paths are relative. Default: the working
   * directory.
   */
  folder?: string;
  /** The config file to use, instead of searching for one. */
  file?: string | undefined;
  /** Options from the command line, by their names in the config file. */
  flags?: Record<string, unknown>;
  /** Default process.env. */
  environment?: NodeJS.ProcessEnv;
};

const DEFAULTS = {
  url: null,
  directUrl: null,
  client: null,
  tls: null,
  schema: 'pgwatch',
  apiSchema: 'public',
  roles: Object.freeze({ publish: [], consume: [], read: [], capture: [] }),
  triggers: null,
  consumers: 'consumers',
  partition: 'day',
  partitionsAhead: 3,
  retentionMs: null,
  pollIntervalMs: 5000,
  reconnectDelayMs: 500,
  heartbeatIntervalMs: 5000,
  heartbeatDeadlineMs: 5000,
  maxBatchSize: 500,
  maxBatchBytes: 4 * 1024 * 1024,
  poolSize: 10,
  shutdownTimeoutMs: 30_000,
  around: null,
  onDead: null,
  file: null,
} satisfies Config;

/**
 * Finds and reads the configuration. Flags override the environment (DATABASE_URL, PGWATCH_*,
 * libpq's PG*), which overrides the file, which overrides the defaults. The file is optional.
 * @throws PgwatchError config_invalid, with the file and the option; usage, with the flag
 */
export async function loadConfig(options: LoadOptions = {}): Promise<Config> {
  const { findFile } = await import('./file.ts');
  const folder = resolve(options.folder ?? process.cwd());
  const file = await findFile(folder, options.file);
  const given = { options: options.flags ?? {}, nameOf: flagOf, fault: 'usage' as const };
  return completeConfig({ ...options, folder, file, given });
}

/**
 * Merges the options given with the environment, the file and the defaults, as in loadConfig().
 * @throws PgwatchError config_invalid, or given.fault
 */
export function completeConfig(sources: {
  /** To which paths are relative, except those in the file. */
  folder: string;
  file: FoundFile | undefined;
  /** Default process.env. */
  environment?: NodeJS.ProcessEnv;
  given: OptionSource;
}): Config {
  const { folder, file, environment = process.env, given } = sources;
  const fromFile = file
    ? checkOptions({
        options: file.options,
        nameOf: (name) => `${relative(process.cwd(), file.path)}: ${name}`,
      })
    : {};
  const fromEnvironment = checkOptions(environmentOptions(environment));
  const fromGiven = checkOptions(given);
  const merged = { ...DEFAULTS, ...fromFile, ...fromEnvironment, ...fromGiven };
  requireRetention(merged);
  const isFolderFromFile = !fromEnvironment.consumers && !fromGiven.consumers;
  const base = file && isFolderFromFile ? dirname(file.path) : folder;
  return Object.freeze({
    ...merged,
    consumers: resolve(base, merged.consumers),
    file: file?.path ?? null,
  });
}

/** Notifications younger than a partition are in the current one, which is never removed. */
function requireRetention({ retentionMs, partition }: Pick<Config, 'retentionMs' | 'partition'>) {
  const [leastMs, least] = partition === 'day' ? [86_400_000, '1d'] : [3_600_000, '1h'];
  if (retentionMs === null || retentionMs >= leastMs) return;
  throw new PgwatchError(
    'config_invalid',
    `retention must be at least '${least}', because a partition of the log spans one ${partition}.`,
  );
}

/**
 * PGWATCH_POLL_INTERVAL is pollInterval. Variables that look like a misspelt option are refused;
 * other PGWATCH_ variables are ignored.
 */
function environmentOptions(environment: NodeJS.ProcessEnv): OptionSource {
  const options: Record<string, unknown> = {};
  for (const name of OPTION_NAMES) {
    const value = environment[variableOf(name)];
    if (value) options[name] = value;
  }
  const variables = OPTION_NAMES.map(variableOf);
  for (const variable of Object.keys(environment)) {
    if (!variable.startsWith(PREFIX) || variables.includes(variable)) continue;
    const near =
      variable === `${PREFIX}DATABASE_URL`
        ? ' Did you mean "DATABASE_URL"?'
        : suggest(
            variable.slice(PREFIX.length),
            variables.map((each) => each.slice(PREFIX.length)),
          ).replace('"', `"${PREFIX}`);
    if (near) throw new PgwatchError('config_invalid', `${variable} is not an option.${near}`);
  }
  const isPlain = environment.DATABASE_URL && !options.url;
  if (isPlain) options.url = environment.DATABASE_URL;
  return {
    options,
    nameOf: (name) => (name === 'url' && isPlain ? 'DATABASE_URL' : variableOf(name)),
  };
}

const PREFIX = 'PGWATCH_';

function variableOf(name: string): string {
  return `${PREFIX}${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function flagOf(name: string): string {
  const flags: Record<string, string> = { url: '--database-url', pollInterval: '--timeout' };
  return flags[name] ?? `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
