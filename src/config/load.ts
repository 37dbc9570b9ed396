import { existsSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { cosmiconfig, defaultLoaders, type Loader } from 'cosmiconfig';
import { PgwatchError, toError } from '../errors.ts';
import { describeFault } from '../import-fault.ts';
import { Loading } from '../loading.ts';
import { suggest } from '../suggest.ts';
import { checkOptions, OPTION_NAMES, type OptionSource } from './check.ts';
import type { Config } from './define.ts';

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

/** The names of config files. Options can also be in the field "pgwatch" of package.json. */
export const CONFIG_FILES: readonly string[] = [
  'pgwatch.config.ts',
  'pgwatch.config.mts',
  'pgwatch.config.js',
  'pgwatch.config.mjs',
  'pgwatch.config.json',
  '.pgwatchrc',
];

const DEFAULTS = {
  url: null,
  directUrl: null,
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
  file: null,
} satisfies Config;

/**
 * Finds and reads the configuration. Flags override the environment (DATABASE_URL, PGWATCH_*,
 * libpq's PG*), which overrides the file, which overrides the defaults. The file is optional.
 * @throws PgwatchError config_invalid, with the file and the option; usage, with the flag
 */
export async function loadConfig(options: LoadOptions = {}): Promise<Config> {
  const folder = resolve(options.folder ?? process.cwd());
  const found = await findFile(folder, options.file);
  const fromFile = found
    ? checkOptions({
        options: found.options,
        nameOf: (name) => `${relative(process.cwd(), found.path)}: ${name}`,
      })
    : {};
  const fromEnvironment = checkOptions(environmentOptions(options.environment ?? process.env));
  const fromFlags = checkOptions({
    options: options.flags ?? {},
    nameOf: flagOf,
    fault: 'usage',
  });
  const merged = { ...DEFAULTS, ...fromFile, ...fromEnvironment, ...fromFlags };
  requireRetention(merged);
  const isFolderFromFile = !fromEnvironment.consumers && !fromFlags.consumers;
  const base = found && isFolderFromFile ? dirname(found.path) : folder;
  return Object.freeze({
    ...merged,
    consumers: resolve(base, merged.consumers),
    file: found?.path ?? null,
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

async function findFile(folder: string, file: string | undefined) {
  const explorer = cosmiconfig('pgwatch', {
    searchPlaces: [...CONFIG_FILES, 'package.json'],
    loaders: LOADERS,
    searchStrategy: 'project',
  });
  const path = file === undefined ? undefined : resolve(folder, file);
  if (path && !existsSync(path)) {
    throw new PgwatchError('usage', `The config file cannot be used: there is no file ${path}.`);
  }
  try {
    const result = path ? await explorer.load(path) : await explorer.search(folder);
    if (!result || result.isEmpty) return undefined;
    const options: unknown = result.config;
    if (typeof options !== 'object' || options === null || Array.isArray(options)) {
      throw new Error(describeFault(result.filepath, new Error(NO_OBJECT)));
    }
    return { path: result.filepath, options: options as Record<string, unknown> };
  } catch (thrown) {
    throw new PgwatchError(
      'config_invalid',
      `The config file cannot be used: ${toError(thrown).message}`,
      { cause: thrown },
    );
  }
}

/** A loader whose errors name the file and, if known, the line. */
function named(load: (path: string, content: string) => unknown): Loader {
  return async (path, content) => {
    try {
      return await load(path, content);
    } catch (thrown) {
      throw new Error(describeFault(path, thrown), { cause: thrown });
    }
  };
}

async function importDefault(path: string): Promise<unknown> {
  const loading = new Loading();
  const module = await loading.import(path).finally(() => loading.end());
  // cosmiconfig takes undefined for an empty file.
  return module.default ?? 'no default export';
}

// Node strips the types itself: cosmiconfig's own loader would need the typescript package.
const LOADERS: Record<string, Loader> = {
  '.ts': named(importDefault),
  '.mts': named(importDefault),
  '.js': named(importDefault),
  '.mjs': named(importDefault),
  '.json': named((_, content) => JSON.parse(content)),
  noExt: named(defaultLoaders.noExt),
};

const NO_OBJECT =
  'it does not export an object of options; in TypeScript: export default defineConfig({ … })';

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
