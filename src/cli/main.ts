import { CommanderError } from '@commander-js/extra-typings';
import { fromSqlError } from '../database/sqlstate.ts';
import { type ErrorCode, PgwatchError } from '../errors.ts';
import { type ReportFormat, StreamReporter } from '../reporter.ts';
import { guardExit, guardUncaught, noteOutputError } from './process-end.ts';
import { makeProgram } from './program.ts';
import { requireKnownCommand } from './unknown-command.ts';

/**
 * Runs the command line.
 * @returns the exit code: 0 success, 1 failure or something found, 2 usage error
 */
export async function main(args: readonly string[]): Promise<number> {
  const outcome = { exitCode: 0 };
  const releases = [guardExit, guardUncaught].map((guard) => guard((error) => report(error, args)));
  for (const stream of [process.stdout, process.stderr]) stream.on('error', noteOutputError);
  try {
    const program = makeProgram(outcome);
    requireKnownCommand(program, args);
    await program.parseAsync(args, { from: 'user' });
    return outcome.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
    const error = fromSqlError(thrown);
    report(error, args);
    return error instanceof PgwatchError && USAGE_FAULTS.includes(error.code) ? 2 : 1;
  } finally {
    for (const release of releases) release();
  }
}

function report(error: Error, args: readonly string[]): void {
  const isJson = args.some(
    (arg, index) =>
      arg === '--log-format=json' || (arg === 'json' && args[index - 1] === '--log-format'),
  );
  const format: ReportFormat = isJson ? 'json' : 'text';
  const isVerbose = args.includes('--verbose');
  // A stack helps only if the error is a fault of pgwatch, or if the user wants details.
  const isExpected = error instanceof PgwatchError;
  const message = !isExpected || isVerbose ? (error.stack ?? error.message) : error.message;
  new StreamReporter({ format }).error(message, isExpected ? { code: error.code } : {});
}

/** Faults of the command line itself. */
const USAGE_FAULTS: readonly ErrorCode[] = [
  'usage',
  'channel_invalid',
  'consumer_unknown',
  'input_invalid',
  'table_unsuitable',
];
