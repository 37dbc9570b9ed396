import { inspect } from 'node:util';

/** What went wrong, for programs: stable, one code per kind of failure. */
export type ErrorCode =
  | 'channel_invalid'
  | 'closed'
  | 'cluster_restored'
  | 'config_invalid'
  | 'connection_failed'
  | 'consumer_changed'
  | 'consumer_exists'
  | 'consumer_invalid'
  | 'consumer_running'
  | 'consumer_unknown'
  | 'dead_letter_unknown'
  | 'delivery_lost'
  | 'delivery_settled'
  | 'embedded_failed'
  | 'encoding_unsupported'
  | 'event_id_taken'
  | 'handler_failed'
  | 'history_unknown'
  | 'input_invalid'
  | 'migration_failed'
  | 'notification_unknown'
  | 'payload_invalid'
  | 'permission_denied'
  | 'position_missing'
  | 'process_exited'
  | 'schema_missing'
  | 'schema_outdated'
  | 'schema_too_new'
  | 'server_unsuitable'
  | 'table_locked'
  | 'table_unsuitable'
  | 'transaction_missing'
  | 'undo_impossible'
  | 'usage';

/** An operational failure. The message is a full sentence that ends with what to do. */
export class PgwatchError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'PgwatchError';
    this.code = code;
  }
}

/** Turns any thrown value into an Error; an Error is returned as it is. */
export function toError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error) return thrown;
    // Not String(): it throws for objects that cannot be converted to text.
    return new Error(typeof thrown === 'string' ? thrown : inspect(thrown));
  } catch {
    return new Error('the thrown value cannot be shown');
  }
}

/**
 * A text of an error; '' if there is none. Programs throw anything: the value may not be a string,
 * and reading it may throw, because of a getter or a replaced Error.prepareStackTrace.
 */
export function textOf(read: () => unknown): string {
  try {
    const text = read();
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
}

/** The SQLSTATE of a PostgreSQL error, or the system code of a socket error; else undefined. */
export function errorCodeOf(thrown: unknown): string | undefined {
  const code = textOf(() =>
    thrown instanceof AggregateError
      ? errorCodeOf(thrown.errors[0])
      : (thrown as { code?: unknown } | null)?.code,
  );
  return code === '' ? undefined : code;
}
