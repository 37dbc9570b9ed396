import { relative } from 'node:path';
import { describeCall } from '../consumers/running-call.ts';
import { PgwatchError, toError } from '../errors.ts';
import { places } from '../import-fault.ts';
import { loadingFile } from '../loading.ts';

/**
 * Reports a process.exit() in code that is not ours, until released. The process then ends with 1
 * instead of 0, because pgwatch has not finished.
 * @returns a function that releases it
 */
export function guardExit(report: (error: PgwatchError) => void): () => void {
  const onExit = (exitCode: number) => {
    const caller = readCaller();
    // Anything else that ends a process, such as an uncaught error, is reported elsewhere.
    if (caller === null || isOwn) return;
    report(exitedError(caller, exitCode));
    process.exitCode = exitCode || 1;
  };
  process.on('exit', onExit);
  return () => void process.off('exit', onExit);
}

/**
 * Reports uncaught errors together with the consumer whose call caused them, until released.
 * Node.js still prints the error and ends the process.
 * @returns a function that releases it
 */
export function guardUncaught(report: (error: PgwatchError) => void): () => void {
  const onUncaught = (thrown: unknown, origin: string) => {
    const call = describeCall();
    if (call === null) return;
    const what = origin === 'unhandledRejection' ? 'left a promise that rejects' : 'threw an error';
    const message =
      `A ${call} ${what}. It is not caught, so it ends the process: ` +
      `${toError(thrown).message}. Await it in the handler, or catch it.`;
    report(new PgwatchError('handler_failed', message));
  };
  process.on('uncaughtExceptionMonitor', onUncaught);
  return () => void process.off('uncaughtExceptionMonitor', onUncaught);
}

/** Ends the process at once, without the report of guardExit(). */
export function exitNow(exitCode: number): never {
  isOwn = true;
  process.exit(exitCode);
}

/**
 * Waits until everything that was printed has left the process, which may take a while in a pipe.
 * @returns the exit code; not 0 if the output could not be written
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

/** Remembers a failed write. A reader that has gone away must not stop the process. */
export function noteOutputError(error: Error & { code?: string }): void {
  if (error.code !== 'EPIPE') outputFault ??= error;
}

let outputFault: Error | undefined;

/** In an exit listener, the stack below process.exit(); null if that was not called. */
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
  const when = file === null ? 'while pgwatch was running' : `while ${path(file)} was loaded`;
  const within = call === null ? '' : `, in a ${call}`;
  return new PgwatchError(
    'process_exited',
    `${where} called process.exit(${exitCode || ''}) ${when}${within}. ` +
      'Remove that call: pgwatch ends the process itself.',
  );
}

let isOwn = false;
