import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isPrintedTypes, printTypes } from '../../capture/types/print.ts';
import { readRowShapes } from '../../capture/types/shape.ts';
import { errorCodeOf, PgwatchError, toError } from '../../errors.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import type { TypesOptions } from './options.ts';

/**
 * Prints or writes the types of the captured tables, or checks that a file has them.
 * @throws PgwatchError usage, input_invalid
 */
export async function types(options: TypesOptions, outcome: CommandResult): Promise<void> {
  const { out, check } = options;
  if (check && out === undefined) {
    throw new PgwatchError('usage', '--check requires --out with the file to compare.');
  }
  const reporter = reporterFor(options);
  const shapes = await withDatabase(options, { mode: 'read' }, readRowShapes);
  const text = printTypes(shapes);
  if (shapes.length === 0) {
    reporter.warn(
      'No tables are captured, so there are no types. Start with "pgwatch trigger add users".',
    );
  }
  if (out === undefined) {
    process.stdout.write(text);
    return;
  }
  const before = read(out);
  const tables = `${shapes.length} captured ${shapes.length === 1 ? 'table' : 'tables'}`;
  // Git may have changed the line endings.
  if (before?.replaceAll('\r\n', '\n') === text) {
    reporter.info(`Unchanged: ${out} has the types of ${tables}.`);
  } else if (check) {
    outcome.exitCode = 1;
    const what =
      before === null ? 'does not exist' : 'does not have the types of the captured tables';
    reporter.info(`Different: ${out} ${what}. Run "pgwatch types --out ${out}".`);
  } else {
    if (before !== null && !isPrintedTypes(before)) throw foreign(out);
    write(out, text);
    reporter.info(`${before === null ? 'Written' : 'Changed'}: ${out}, the types of ${tables}.`);
  }
}

function foreign(file: string): PgwatchError {
  return new PgwatchError(
    'input_invalid',
    `${file} was not written by "pgwatch types", so it is not overwritten: ` +
      'delete it, or give another file with --out.',
  );
}

function read(file: string): string | null {
  try {
    return readFileSync(resolve(file), 'utf8');
  } catch (thrown) {
    if (errorCodeOf(thrown) === 'ENOENT') return null;
    throw unusable(file, 'read', thrown);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(resolve(file), text);
  } catch (thrown) {
    throw unusable(file, 'written', thrown);
  }
}

function unusable(file: string, done: string, thrown: unknown): PgwatchError {
  return new PgwatchError(
    'input_invalid',
    `${file} cannot be ${done}: ${toError(thrown).message}. ` +
      'Give --out a file in an existing folder.',
    { cause: thrown },
  );
}
