import { errorCodeOf, textOf } from '../../errors.ts';
import type { ErrorRecord } from './delivery.ts';

/** Makes the record of an error that is stored in the database. */
export function errorRecord(error: Error): ErrorRecord {
  const code = errorCodeOf(error);
  // Do not search hundreds of megabytes for the end of a stack: it is cut off anyway.
  const stack = storable(withoutCallers(textOf(() => error.stack).slice(0, 10 * LENGTH_MAX)));
  return {
    name: storable(textOf(() => error.name)),
    message: storable(withCause(error)),
    ...(code === undefined ? {} : { code: storable(code) }),
    ...(stack === '' ? {} : { stack }),
  };
}

/**
 * The message with that of its cause: on its own, fetch() only says "fetch failed". Both are cut.
 */
export function withCause(error: Error, lengthMax = LENGTH_MAX): string {
  const message = cut(
    textOf(() => error.message),
    lengthMax,
  );
  const cause = textOf(
    () => error.cause instanceof Error && (error.cause.message || errorCodeOf(error.cause)),
  );
  return cause === '' ? message : `${message} (${cut(cause, lengthMax)})`;
}

function cut(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax).toWellFormed()}…`;
}

/**
 * The stack without its end, which is the same for all handlers: how pgwatch called this one. If an
 * error comes from pgwatch alone, the stack stays complete.
 */
function withoutCallers(stack: string): string {
  const lines = stack.split('\n');
  const last = lines.findLastIndex((line) => !line.includes(OWN_FILES) && !line.includes('(node:'));
  return /^\s+at /.test(lines[last] ?? '') ? lines.slice(0, last + 1).join('\n') : stack;
}

/** Turns any text into one that jsonb can hold. */
function storable(text: string): string {
  return text.slice(0, LENGTH_MAX).replaceAll('\0', '�').toWellFormed();
}

/** The folder src or dist, as it appears in stack frames. */
const OWN_FILES = new URL('../..', import.meta.url).href;
const LENGTH_MAX = 10_000;
