import { errorCodeOf } from '../errors.ts';
import type { ErrorRecord } from './delivery.ts';

/** What is kept of an error in the database. */
export function errorRecord(error: Error): ErrorRecord {
  const code = errorCodeOf(error);
  const stack = storable(error.stack);
  return {
    name: storable(error.name),
    message: storable(withCause(error)),
    ...(code === undefined ? {} : { code: storable(code) }),
    ...(stack === '' ? {} : { stack }),
  };
}

/** The message, with that of the cause: fetch() says only "fetch failed" by itself. */
export function withCause(error: Error): string {
  const { cause } = error;
  return cause instanceof Error
    ? `${error.message} (${cause.message || errorCodeOf(cause)})`
    : error.message;
}

/** Whatever a program has put there, as text that jsonb can hold. */
function storable(text: unknown): string {
  if (typeof text !== 'string') return '';
  return text.slice(0, LENGTH_MAX).replaceAll('\0', '�').toWellFormed();
}

const LENGTH_MAX = 10_000;
