import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PgwatchError } from '../errors.ts';
import { describeFault } from '../import-fault.ts';
import { Loading, NotLoaded } from '../loading.ts';
import { checkConsumer } from './check.ts';
import type { Consumer } from './define.ts';

/**
 * Loads all consumer files below a folder: *.ts, *.mts, *.js and *.mjs, except tests, declarations,
 * and names that start with "_" or ".". Fails if one of them cannot be loaded.
 * @returns the consumers, ordered by id
 * @throws PgwatchError consumer_invalid that names each faulty file, with the line if known
 */
export async function discoverConsumers(folder: string): Promise<Consumer[]> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new PgwatchError(
      'consumer_invalid',
      `There is no folder ${folder}.` +
        ' Put consumer files there, or set the option "consumers" to another folder.',
    );
  }
  const consumers: Consumer[] = [];
  const faults: string[] = [];
  let firstCause: unknown;
  const loading = new Loading();
  for (const file of findConsumerFiles(folder)) {
    try {
      const module = await loading.import(file);
      consumers.push(checkConsumer(module.default, file, folder));
    } catch (thrown) {
      firstCause ??= thrown;
      faults.push(describeFault(file, thrown));
      // Other files may take as long; do not wait for them.
      if (thrown instanceof NotLoaded) break;
    }
  }
  loading.end();
  faults.push(...duplicateIds(consumers));
  if (faults.length > 0) {
    const count = faults.length === 1 ? 'A consumer file' : `${faults.length} consumer files`;
    throw new PgwatchError(
      'consumer_invalid',
      `${count} could not be loaded; no consumer was started:\n${faults.join('\n')}`,
      { cause: firstCause },
    );
  }
  return consumers.sort((a, b) => a.id.localeCompare(b.id));
}

/** The files of a folder that are loaded as consumers. */
export function findConsumerFiles(folder: string): string[] {
  return visibleFiles(folder).filter(
    (file) => /\.m?[jt]s$/.test(file) && !/\.(d|test|spec)\.m?[jt]s$/.test(file),
  );
}

/** Files of a folder that look like consumers but have an extension that is not loaded. */
export function skippedFiles(folder: string): string[] {
  const loaded = findConsumerFiles(folder);
  const isScript = (file: string) =>
    /\.[cm]?[jt]sx?$/i.test(file) && !/\.(d|test|spec)\.[cm]?[jt]sx?$/i.test(file);
  return visibleFiles(folder).filter(
    (file) => !loaded.includes(file) && isScript(file) && !isFolder(file),
  );
}

/** The files of a folder, without those whose name says that they are not consumers. */
function visibleFiles(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => {
      const parts = relative(folder, file).split(/[\\/]/);
      return !parts.some((part) => /^[_.]/.test(part) || part === 'node_modules');
    })
    .sort();
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function duplicateIds(consumers: Consumer[]): string[] {
  const filesById = Map.groupBy(consumers, (consumer) => consumer.id);
  return [...filesById]
    .filter(([, same]) => same.length > 1)
    .map(([id, same]) => {
      const files = same.map(({ file }) => relative(process.cwd(), file ?? '')).join(' and ');
      return `${files} have the same id "${id}": each consumer needs its own.`;
    });
}
