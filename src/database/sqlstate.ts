import { type ErrorCode, errorCodeOf, PgwatchError, toError } from '../errors.ts';

/** PostgreSQL's codes that are decided upon somewhere (appendix A of its manual). */
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

/** What our own SQL raises. */
const OWN_STATES: Record<string, ErrorCode> = {
  PW001: 'channel_invalid',
  PW002: 'event_id_taken',
  PW003: 'config_invalid',
  PW004: 'config_invalid',
  PW005: 'server_unsuitable',
};

/** True for what our own SQL raises: a whole sentence. */
export function isOwnError(thrown: unknown): boolean {
  return (errorCodeOf(thrown) ?? '') in OWN_STATES;
}

/** What a statement of ours meets where somebody has removed something. */
const MISSING = new Set<string>([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedColumn,
  SQLSTATE.undefinedFunction,
  SQLSTATE.undefinedSchema,
]);

/**
 * Turns an error that our SQL raised, a missing privilege or object, into a PgwatchError; leaves
 * others.
 */
export function fromSqlError(thrown: unknown): Error {
  const error = toError(thrown);
  if (errorCodeOf(thrown) === SQLSTATE.insufficientPrivilege) {
    return new PgwatchError(
      'permission_denied',
      `The database refuses it: ${error.message}. Name the role in roles: { publish, consume, read } in the config and run "pgwatch migrate" as the database's owner, or use another role.`,
      { cause: thrown },
    );
  }
  if (errorCodeOf(thrown) === SQLSTATE.readOnlyTransaction) {
    return new PgwatchError(
      'server_unsuitable',
      `The server only reads, as a standby does: ${error.message}. Name the primary in url or directUrl, or turn off default_transaction_read_only.`,
      { cause: thrown },
    );
  }
  if (MISSING.has(errorCodeOf(thrown) ?? '')) {
    return new PgwatchError(
      'schema_outdated',
      `Something of pgwatch's is missing in the database: ${error.message}. "pgwatch migrate" restores it, and "pgwatch doctor" says what else is wrong.`,
      { cause: thrown },
    );
  }
  const code = OWN_STATES[errorCodeOf(thrown) ?? ''];
  return code ? new PgwatchError(code, error.message, { cause: thrown }) : error;
}
