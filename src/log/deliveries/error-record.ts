import { errorCodeOf, textOf } from '../../errors.ts';
import type { ErrorRecord } from './delivery.ts';

/** What is kept of an error in the database. */
export function errorRecord(error: Error): ErrorRecord {
  const code = errorCodeOf(error);
  // A stack of hundreds of megabytes is not looked through for its end, which is cut off anyway.
  const stack = storable(withoutCallers(textOf(() => error.stack).slice(0, 10 * LENGTH_MAX)));
  return {
    name: storable(textOf(() => error.name)),
    message: storable(withCause(error)),
    ...(code === undefined ? {} : { code: storable(code) }),
    ...(stack === '' ? {} : { stack }),
  };
}

/**
 * The message, with that of the cause: fetch() says only "fetch failed" by itself. Both are cut.
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
 * The stack without its end, which is the same for all handlers: how pgwatch came to call this one.
 * Where an error comes from pgwatch alone, the stack is left whole.
 */
function withoutCallers(stack: string): string {
  const lines = stack.split('\n');
  const last = lines.findLastIndex((line) => !line.includes(OWN_FILES) && !line.includes('(node:'));
  return /^\s+at /.test(lines[last] ?? '') ? lines.slice(0, last + 1).join('\n') : stack;
}

/** Whatever a program has put there, as text that jsonb can hold. */
function storable(text: string): string {
  return text.slice(0, LENGTH_MAX).replaceAll('\0', '�').toWellFormed();
}

/** As frames name them: of the folder src, or of dist. */
const OWN_FILES = new URL('..', import.meta.url).href;
const LENGTH_MAX = 10_000;
