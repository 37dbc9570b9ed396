import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PgwatchError } from '../errors.ts';
import { describeFault } from '../import-fault.ts';
import { Loading, NotLoaded } from '../loading.ts';
import { checkConsumer } from './check.ts';
import type { Consumer } from './define.ts';

/**
 * Loads all consumer files below a folder: *.ts, *.mts, *.js, *.mjs, but no tests, no declarations,
 * and nothing whose name starts with "_" or ".". Either all of them load or none.
 * @returns the consumers, by id
 * @throws PgwatchError consumer_invalid that names each faulty file, with the line where known
 */
export async function discoverConsumers(folder: string): Promise<Consumer[]> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new PgwatchError(
      'consumer_invalid',
      `There is no folder ${folder}. Put consumer files there, or name another with the option "consumers".`,
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
      // The others would keep whoever waits for as long.
      if (thrown instanceof NotLoaded) break;
    }
  }
  loading.end();
  faults.push(...duplicateIds(consumers));
  if (faults.length > 0) {
    const count =
      faults.length === 1 ? 'A consumer file is' : `${faults.length} consumer files are`;
    throw new PgwatchError(
      'consumer_invalid',
      `${count} faulty, so that no consumer was started:\n${faults.join('\n')}`,
      { cause: firstCause },
    );
  }
  return consumers.sort((a, b) => a.id.localeCompare(b.id));
}

/** The files of a folder that would be loaded as consumers. */
export function findConsumerFiles(folder: string): string[] {
  return visibleFiles(folder).filter(
    (file) => /\.m?[jt]s$/.test(file) && !/\.(d|test|spec)\.m?[jt]s$/.test(file),
  );
}

/** Files of a folder that look like consumers, and have an extension that is not loaded. */
export function skippedFiles(folder: string): string[] {
  const loaded = findConsumerFiles(folder);
  const isScript = (file: string) =>
    /\.[cm]?[jt]sx?$/i.test(file) && !/\.(d|test|spec)\.[cm]?[jt]sx?$/i.test(file);
  return visibleFiles(folder).filter(
    (file) => !loaded.includes(file) && isScript(file) && !isFolder(file),
  );
}

/** Everything but folders, and nothing whose name says that it is not a consumer. */
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
      const files = same.map(({ file }) => relative(process.cwd(), file)).join(' and ');
      return `${files} have the same id "${id}": each consumer needs its own.`;
    });
}
