import { type ErrorCode, errorCodeOf, PgwatchError, textOf, toError } from '../errors.ts';

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
  return serverErrorIn(thrown).code in OWN_STATES;
}

/** The errors of our statements if something of ours was removed. */
const MISSING = new Set<string>([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedColumn,
  SQLSTATE.undefinedFunction,
  SQLSTATE.undefinedSchema,
]);

/** What the server said about a statement. */
type ServerError = { code: string; message: string };

/**
 * The server's error, also if an ORM has wrapped it in one of its own. If there is none, the code
 * ('' without one) and the message of what was thrown.
 */
export function serverErrorIn(thrown: unknown): ServerError {
  let layer = thrown as Layer;
  for (let depth = 0; depth < LAYERS_MAX && !(layer instanceof PgwatchError); depth++) {
    const text = (name: keyof Layer) => textOf(() => layer[name]);
    // Prisma's copy of the error. Errors of ORMs have codes, too, but no severity.
    const [copied, own] = [text('originalCode'), text('severity') && text('code')];
    if (copied) return { code: copied, message: text('originalMessage') };
    if (own) return { code: own, message: text('message') };
    const inner = innerOf(layer);
    if (!inner) break;
    layer = inner;
  }
  return { code: errorCodeOf(thrown) ?? '', message: toError(thrown).message };
}

/** Where libraries keep what they have wrapped: Drizzle, TypeORM, Prisma. */
type Layer = {
  [name in 'code' | 'severity' | 'message' | 'originalCode' | 'originalMessage']?: unknown;
} & { cause?: Layer; driverError?: Layer; meta?: { driverAdapterError?: Layer } };

function innerOf(layer: Layer): Layer | undefined {
  try {
    return layer.cause ?? layer.driverError ?? layer.meta?.driverAdapterError;
  } catch {
    return undefined;
  }
}

const LAYERS_MAX = 5;

/**
 * Turns an error that our SQL raised, or one about a missing privilege or object, or about a
 * read-only server, into a PgwatchError; returns other errors unchanged.
 */
export function fromSqlError(thrown: unknown): Error {
  const { code, message } = serverErrorIn(thrown);
  if (code === SQLSTATE.insufficientPrivilege) {
    return new PgwatchError(
      'permission_denied',
      `The database refused this: ${message}. Add the role to ` +
        'roles: { publish, consume, read, capture } in the config and run "pgwatch migrate" as ' +
        "the database's owner, or use another role.",
      { cause: thrown },
    );
  }
  if (code === SQLSTATE.readOnlyTransaction) {
    return new PgwatchError(
      'server_unsuitable',
      `The server is read-only, like a standby: ${message}. Set url or directUrl to the ` +
        'primary, or turn off default_transaction_read_only.',
      { cause: thrown },
    );
  }
  if (MISSING.has(code)) {
    return new PgwatchError(
      'schema_outdated',
      `A part of pgwatch is missing in the database: ${message}. Run "pgwatch migrate" to ` +
        'restore it, and "pgwatch doctor" to see what else is wrong.',
      { cause: thrown },
    );
  }
  const own = OWN_STATES[code];
  return own ? new PgwatchError(own, message, { cause: thrown }) : toError(thrown);
}
