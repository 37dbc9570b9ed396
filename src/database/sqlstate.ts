import { type ErrorCode, errorCodeOf, PgwatchError, toError } from '../errors.ts';

/** PostgreSQL's error codes that the program checks for (appendix A of its manual). */
export const SQLSTATE = {
  cannotConnectNow: '57P03',
  datatypeMismatch: '42804',
  dependentObjects: '2BP01',
  duplicateObject: '42710',
  insufficientPrivilege: '42501',
  invalidAuthorization: '28000',
  invalidCatalog: '3D000',
  invalidObjectDefinition: '42P17',
  invalidPassword: '28P01',
  lockNotAvailable: '55P03',
  protocolViolation: '08P01',
  readOnlyTransaction: '25006',
  syntaxError: '42601',
  crashShutdown: '57P02',
  adminShutdown: '57P01',
  tooManyConnections: '53300',
  transactionTimeout: '25P04',
  undefinedColumn: '42703',
  undefinedObject: '42704',
  undefinedFunction: '42883',
  undefinedSchema: '3F000',
  undefinedTable: '42P01',
  untranslatableCharacter: '22P05',
} as const;

/** The codes that our own SQL raises. */
const OWN_STATES: Record<string, ErrorCode> = {
  PW001: 'channel_invalid',
  PW002: 'event_id_taken',
  PW003: 'config_invalid',
  PW004: 'config_invalid',
  PW005: 'server_unsuitable',
};

/** True for an error raised by our own SQL; its message is a full sentence. */
export function isOwnError(thrown: unknown): boolean {
  return (errorCodeOf(thrown) ?? '') in OWN_STATES;
}

/** The errors of our statements if something of ours was removed. */
const MISSING = new Set<string>([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedColumn,
  SQLSTATE.undefinedFunction,
  SQLSTATE.undefinedSchema,
]);

/**
 * Turns an error that our SQL raised, or one about a missing privilege or object, or about a
 * read-only server, into a PgwatchError; returns other errors unchanged.
 */
export function fromSqlError(thrown: unknown): Error {
  const error = toError(thrown);
  if (errorCodeOf(thrown) === SQLSTATE.insufficientPrivilege) {
    return new PgwatchError(
      'permission_denied',
      `The database refused this: ${error.message}. Add the role to ` +
        'roles: { publish, consume, read, capture } in the config and run "pgwatch migrate" as ' +
        "the database's owner, or use another role.",
      { cause: thrown },
    );
  }
  if (errorCodeOf(thrown) === SQLSTATE.readOnlyTransaction) {
    return new PgwatchError(
      'server_unsuitable',
      `The server is read-only, like a standby: ${error.message}. Set url or directUrl to the ` +
        'primary, or turn off default_transaction_read_only.',
      { cause: thrown },
    );
  }
  if (MISSING.has(errorCodeOf(thrown) ?? '')) {
    return new PgwatchError(
      'schema_outdated',
      `A part of pgwatch is missing in the database: ${error.message}. Run "pgwatch migrate" to ` +
        'restore it, and "pgwatch doctor" to see what else is wrong.',
      { cause: thrown },
    );
  }
  const code = OWN_STATES[errorCodeOf(thrown) ?? ''];
  return code ? new PgwatchError(code, error.message, { cause: thrown }) : error;
}
