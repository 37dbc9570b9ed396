import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { CONFIG_FILES } from '../../config/file.ts';
import { loadConfig } from '../../config/load.ts';
import { findConsumerFiles } from '../../consumers/discover.ts';
import { PgwatchError, toError } from '../../errors.ts';

/** What pgwatch needs to know about a project. */
export type Project = {
  /** The folder of its package.json. */
  folder: string;
  packageText: string;
  package: PackageJson;
  manager: 'npm' | 'pnpm' | 'yarn' | 'bun';
  /** The extension for our files. */
  extension: 'ts' | 'mts' | 'js' | 'mjs';
  /** The existing config, or ''. */
  configFile: string;
  consumersFolder: string;
  /** The existing consumer files. */
  consumerFiles: string[];
  /** Where DATABASE_URL comes from. */
  databaseUrl: 'environment' | '.env' | 'nowhere';
};

export type PackageJson = {
  type?: unknown;
  packageManager?: unknown;
  pgwatch?: unknown;
  scripts?: Record<string, unknown>;
  dependencies?: Record<string, unknown>;
  devDependencies?: Record<string, unknown>;
};

/**
 * Finds the project that contains a folder, and examines it.
 * @throws PgwatchError usage if there is none, input_invalid if its package.json cannot be read
 */
export async function readProject(start: string, environment: NodeJS.ProcessEnv): Promise<Project> {
  const folder = foldersUp(start).find((each) => existsSync(join(each, 'package.json')));
  if (folder === undefined) {
    throw new PgwatchError(
      'usage',
      `There is no package.json in ${start} or above. ` +
        'Create a project with "npm init -y", or change to the folder of one.',
    );
  }
  const packageText = readFileSync(join(folder, 'package.json'), 'utf8');
  const content = parsePackage(packageText, folder);
  const configFile = configOf(folder, content);
  const consumersFolder = configFile
    ? await consumersOf(folder, environment)
    : chooseConsumers(folder);
  return {
    folder,
    packageText,
    package: content,
    manager: managerOf(folder, content),
    extension: extensionOf(folder, content),
    configFile,
    consumersFolder,
    consumerFiles: filesIn(join(folder, consumersFolder)),
    databaseUrl: databaseUrlOf(folder, environment),
  };
}

/** True if the project depends on the package. */
export function dependsOn({ dependencies, devDependencies }: PackageJson, name: string): boolean {
  return Object.hasOwn({ ...dependencies, ...devDependencies }, name);
}

function parsePackage(text: string, folder: string): PackageJson {
  try {
    const content: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
    if (typeof content !== 'object' || content === null || Array.isArray(content)) {
      throw new Error('it is not an object');
    }
    const { scripts } = content as PackageJson;
    if (scripts !== undefined && (typeof scripts !== 'object' || Array.isArray(scripts))) {
      throw new Error('its scripts are not an object');
    }
    return content;
  } catch (thrown) {
    throw new PgwatchError(
      'input_invalid',
      `${join(folder, 'package.json')} cannot be read: ${toError(thrown).message}. Fix it first.`,
      { cause: thrown },
    );
  }
}

/** Named by package.json, else by the lock file, which in a workspace may be in a folder above. */
function managerOf(folder: string, { packageManager }: PackageJson): Project['manager'] {
  const named = typeof packageManager === 'string' ? packageManager.split('@')[0] : undefined;
  const found = LOCK_FILES.find(({ manager }) => manager === named);
  if (found) return found.manager;
  for (const each of foldersUp(folder)) {
    const lock = LOCK_FILES.find(({ files }) => files.some((file) => existsSync(join(each, file))));
    if (lock) return lock.manager;
  }
  return 'npm';
}

function extensionOf(folder: string, content: PackageJson): Project['extension'] {
  const isTyped = existsSync(join(folder, 'tsconfig.json')) || dependsOn(content, 'typescript');
  // Our files are ES modules, even if those of the project are not.
  return `${content.type === 'module' ? '' : 'm'}${isTyped ? 'ts' : 'js'}`;
}

function configOf(folder: string, content: PackageJson): string {
  if (content.pgwatch !== undefined) return 'package.json';
  return CONFIG_FILES.find((file) => existsSync(join(folder, file))) ?? '';
}

/** The folder in the config; the default if it does not load, as before installing pgwatch. */
async function consumersOf(folder: string, environment: NodeJS.ProcessEnv): Promise<string> {
  try {
    const { consumers } = await loadConfig({ folder, environment });
    return relative(folder, consumers) || '.';
  } catch {
    return 'consumers';
  }
}

/** The default, unless that folder holds something else, such as Kafka consumers. */
function chooseConsumers(folder: string): string {
  const isForeign = filesIn(join(folder, 'consumers')).some(
    (file) => !/\bchannels\b/.test(readFileSync(join(folder, 'consumers', file), 'utf8')),
  );
  return isForeign ? 'pgwatch-consumers' : 'consumers';
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return findConsumerFiles(folder).map((file) => file.slice(folder.length + 1));
}

function databaseUrlOf(folder: string, environment: NodeJS.ProcessEnv): Project['databaseUrl'] {
  if (environment.DATABASE_URL || environment.PGWATCH_URL) return 'environment';
  const file = join(folder, '.env');
  const isThere =
    existsSync(file) && /^\s*(export\s+)?DATABASE_URL\s*=\s*\S/m.test(readFileSync(file, 'utf8'));
  return isThere ? '.env' : 'nowhere';
}

function foldersUp(start: string): string[] {
  const folders = [start];
  for (let at = start; dirname(at) !== at; at = dirname(at)) folders.push(dirname(at));
  return folders;
}

const LOCK_FILES: readonly { manager: Project['manager']; files: string[] }[] = [
  { manager: 'npm', files: ['package-lock.json', 'npm-shrinkwrap.json'] },
  { manager: 'pnpm', files: ['pnpm-lock.yaml'] },
  { manager: 'yarn', files: ['yarn.lock'] },
  { manager: 'bun', files: ['bun.lock', 'bun.lockb'] },
];
