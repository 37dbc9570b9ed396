import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cosmiconfig } from 'cosmiconfig';
import { PgwatchError, toError } from '../errors.ts';
import { checkOptions, OPTION_NAMES } from './check.ts';
import type { Config } from './define.ts';

export type LoadOptions = {
  /** Where to look for a config file and what paths are relative to. Default: the working directory. */
  folder?: string;
  /** A config file, instead of looking for one. */
  file?: string | undefined;
  /** Options from the command line, by their names in the config file. */
  flags?: Record<string, unknown>;
  /** Default process.env. */
  environment?: NodeJS.ProcessEnv;
};

const DEFAULTS = {
  url: null,
  directUrl: null,
  schema: 'pgwatch',
  apiSchema: 'public',
  roles: Object.freeze({ publish: [], consume: [], read: [] }),
  consumers: 'consumers',
  partition: 'day',
  partitionsAhead: 3,
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
 * Finds and reads the configuration. Flags beat the environment (DATABASE_URL, PGWATCH_*, libpq's PG*)
 * beat the file beat the defaults. A file is not needed.
 * @throws PgwatchError config_invalid that names the file and the option
 */
export async function loadConfig(options: LoadOptions = {}): Promise<Config> {
  const folder = resolve(options.folder ?? process.cwd());
  const found = await findFile(folder, options.file);
  const fromFile = found ? checkOptions({ place: found.path, options: found.options }) : {};
  const fromEnvironment = checkOptions({
    place: 'The environment',
    options: environmentOptions(options.environment ?? process.env),
  });
  const fromFlags = checkOptions({ place: 'The command line', options: options.flags ?? {} });
  const merged = { ...DEFAULTS, ...fromFile, ...fromEnvironment, ...fromFlags };
  const isFolderFromFile = !fromEnvironment.consumers && !fromFlags.consumers;
  const base = found && isFolderFromFile ? dirname(found.path) : folder;
  return Object.freeze({
    ...merged,
    consumers: resolve(base, merged.consumers),
    file: found?.path ?? null,
  });
}

async function findFile(folder: string, file: string | undefined) {
  const explorer = cosmiconfig('pgwatch', {
    searchPlaces: [
      'pgwatch.config.ts',
      'pgwatch.config.mts',
      'pgwatch.config.js',
      'pgwatch.config.mjs',
      'pgwatch.config.json',
      '.pgwatchrc',
      'package.json',
    ],
    // Node strips the types itself: cosmiconfig's own loader would need the typescript package.
    loaders: { '.ts': importFile, '.mts': importFile, '.js': importFile, '.mjs': importFile },
    searchStrategy: 'project',
  });
  const path = file === undefined ? undefined : resolve(folder, file);
  try {
    const result = path ? await explorer.load(path) : await explorer.search(folder);
    if (!result || result.isEmpty) return undefined;
    if (typeof result.config !== 'object' || result.config === null) {
      throw new Error(
        'it has no default export that is an object (export default defineConfig({ … }))',
      );
    }
    return { path: result.filepath, options: result.config as Record<string, unknown> };
  } catch (thrown) {
    const error = toError(thrown);
    throw new PgwatchError(
      'config_invalid',
      `The config file${path ? ` ${path}` : ''} cannot be read: ${error.message}.`,
      { cause: thrown },
    );
  }
}

async function importFile(path: string): Promise<unknown> {
  const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
  return module.default ?? 'no default export';
}

/** PGWATCH_POLL_INTERVAL is pollInterval. Other PGWATCH_ variables are none of ours and left alone. */
function environmentOptions(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of OPTION_NAMES) {
    const variable = `PGWATCH_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    if (environment[variable]) options[name] = environment[variable];
  }
  if (environment.DATABASE_URL && !options.url) options.url = environment.DATABASE_URL;
  return options;
}
