import { relative } from 'node:path';
import { describeCall } from '../consumers/running-call.ts';
import { PgwatchError, toError } from '../errors.ts';
import { places } from '../import-fault.ts';
import { loadingFile } from '../loading.ts';

/**
 * Until it is released, a process.exit() of somebody else's code is reported, and ends the process
 * with 1 instead of 0: what pgwatch was doing is not done.
 * @returns releases it
 */
export function guardExit(report: (error: PgwatchError) => void): () => void {
  const onExit = (exitCode: number) => {
    const caller = readCaller();
    // Whatever else ends a process says why: an error that nobody caught, say.
    if (caller === null || isOwn) return;
    report(exitedError(caller, exitCode));
    process.exitCode = exitCode || 1;
  };
  process.on('exit', onExit);
  return () => void process.off('exit', onExit);
}

/**
 * Until it is released, an error that nobody catches is reported with the consumer whose call
 * brought it about; Node.js prints it, and ends the process, as ever.
 * @returns releases it
 */
export function guardUncaught(report: (error: PgwatchError) => void): () => void {
  const onUncaught = (thrown: unknown, origin: string) => {
    const call = describeCall();
    if (call === null) return;
    const what = origin === 'unhandledRejection' ? 'left a promise that rejects' : 'threw an error';
    const message = `A ${call} ${what}, which nobody catches and which ends the process: ${toError(thrown).message}. Await it in the handler, or catch it.`;
    report(new PgwatchError('handler_failed', message));
  };
  process.on('uncaughtExceptionMonitor', onUncaught);
  return () => void process.off('uncaughtExceptionMonitor', onUncaught);
}

/** Ends the process at once, and does not count as somebody else's doing. */
export function exitNow(exitCode: number): never {
  isOwn = true;
  process.exit(exitCode);
}

/**
 * Waits until everything that was printed has left the process: a pipe takes its time.
 * @returns the exit code: not 0 where it could not be written
 */
export async function flushOutput(exitCode: number): Promise<number> {
  const flushed = [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
  );
  await Promise.all(flushed);
  if (!outputFault) return exitCode;
  process.stderr.write(`error The output could not be written: ${outputFault.message}.\n`);
  return exitCode || 1;
}

/** Whoever reads the output may go away; what the process does is worth more than what it says. */
export function noteOutputError(error: Error & { code?: string }): void {
  if (error.code !== 'EPIPE') outputFault ??= error;
}

let outputFault: Error | undefined;

/** The stack below process.exit(), in a listener of its event; null if nobody has called that. */
function readCaller(): Error | null {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const error = new Error();
  Error.stackTraceLimit = before;
  return /\bprocess\.exit\b/.test(error.stack ?? '') ? error : null;
}

function exitedError(caller: Error, exitCode: number): PgwatchError {
  const [place] = places(caller);
  const file = loadingFile();
  const path = (absolute: string) => relative(process.cwd(), absolute);
  const where = place
    ? `${path(place.path)}:${place.line}`
    : file === null
      ? 'A package that this project uses'
      : path(file);
  const call = describeCall();
  const when = file === null ? 'while pgwatch was at work' : `while ${path(file)} was loaded`;
  const within = call === null ? '' : `, in a ${call}`;
  return new PgwatchError(
    'process_exited',
    `${where} called process.exit(${exitCode || ''}) ${when}${within}. Take that call out: pgwatch ends the process by itself.`,
  );
}

let isOwn = false;
