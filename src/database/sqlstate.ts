import { type ErrorCode, errorCodeOf, PgwatchError, toError } from '../errors.ts';

/** PostgreSQL's codes that are decided upon somewhere (appendix A of its manual). */
export const SQLSTATE = {
  cannotConnectNow: '57P03',
  insufficientPrivilege: '42501',
  invalidAuthorization: '28000',
  invalidCatalog: '3D000',
  invalidPassword: '28P01',
  lockNotAvailable: '55P03',
  readOnlyTransaction: '25006',
  tooManyConnections: '53300',
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
};

/** Turns an error that our SQL raised into a PgwatchError with its message; leaves others as they are. */
export function fromSqlError(thrown: unknown): Error {
  const error = toError(thrown);
  const code = OWN_STATES[errorCodeOf(thrown) ?? ''];
  return code ? new PgwatchError(code, error.message, { cause: thrown }) : error;
}
