import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { cosmiconfig, defaultLoaders, type Loader } from 'cosmiconfig';
import { PgwatchError, toError } from '../errors.ts';
import { describeFault } from '../import-fault.ts';
import { Loading } from '../loading.ts';

/** The names of config files. Options can also be in the field "pgwatch" of package.json. */
export const CONFIG_FILES: readonly string[] = [
  'pgwatch.config.ts',
  'pgwatch.config.mts',
  'pgwatch.config.js',
  'pgwatch.config.mjs',
  'pgwatch.config.json',
  '.pgwatchrc',
];

/** A config file, and what it says; the options are not checked yet. */
export type FoundFile = { path: string; options: Record<string, unknown> };

/**
 * Reads this config file, or searches for one from the folder upwards.
 * @returns undefined if there is none, or it is empty
 * @throws PgwatchError config_invalid, with the file; usage if there is no such file
 */
export async function findFile(
  folder: string,
  file: string | undefined,
): Promise<FoundFile | undefined> {
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
