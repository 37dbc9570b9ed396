import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { SQLSTATE } from './sqlstate.ts';
import { type ConnectOptions, describeTarget } from './target.ts';

/** Says in a sentence why connecting failed, and what to do. */
export function connectionError(thrown: unknown, options: ConnectOptions): PgwatchError {
  if (thrown instanceof PgwatchError) return thrown;
  const target = describeTarget(options);
  const code = errorCodeOf(thrown) ?? '';
  const reason =
    tlsReason(code, thrown) ??
    `${REASONS[code] ?? toError(thrown).message.replace(/\.$/, '')}. ${sourceOf(options)}`;
  return new PgwatchError('connection_failed', `Cannot connect to ${target}: ${reason}`, {
    cause: thrown,
  });
}

/** Says in a sentence that a connection was lost in the middle of some work. */
export function lostError(thrown: unknown, options: ConnectOptions): PgwatchError {
  const reason = toError(thrown).message.replace(/\.$/, '');
  return new PgwatchError(
    'connection_failed',
    `The connection to ${describeTarget(options)} was lost: ${reason}. The last step may or may not have been committed; check before you run the command again.`,
    { cause: thrown },
  );
}

/**
 * True where waiting may help: the server is away, starting, or full. False for a wrong password.
 */
export function isTransient(thrown: unknown): boolean {
  const cause = thrown instanceof PgwatchError ? thrown.cause : thrown;
  const code = errorCodeOf(cause) ?? '';
  return !PERMANENT.has(code) && tlsReason(code, cause) === undefined;
}

function sourceOf({ url }: ConnectOptions): string {
  return url === null
    ? 'No connection string is set: give --database-url or DATABASE_URL.'
    : 'The connection string is in --database-url, DATABASE_URL or the config file.';
}

function tlsReason(code: string, thrown: unknown): string | undefined {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const { host, cert } = thrown as { host: string; cert: { subjectaltname?: string } };
    return `its certificate is for ${cert.subjectaltname ?? 'no host'}, not for "${host}". Connect by a name that the certificate has, or give the server one for "${host}".`;
  }
  return UNKNOWN_AUTHORITY.has(code) ? TLS_REASONS.unknownAuthority : TLS_REASONS[code];
}

const PERMANENT = new Set<string>([
  SQLSTATE.invalidPassword,
  SQLSTATE.invalidAuthorization,
  SQLSTATE.invalidCatalog,
]);

const REASONS: Record<string, string> = {
  [SQLSTATE.invalidPassword]: 'the password is wrong',
  [SQLSTATE.invalidCatalog]: 'there is no such database',
  [SQLSTATE.cannotConnectNow]: 'the server is starting up or shutting down',
  [SQLSTATE.tooManyConnections]: 'the server has no free connection (max_connections)',
  ECONNREFUSED: 'no server is listening there',
  ENOTFOUND: 'there is no host of that name',
};

const TLS_REASONS: Record<string, string> = {
  TLS_REFUSED: `it offers no TLS. Switch it on there, or set tls: 'off' or sslmode=disable where the network is trusted.`,
  CERT_HAS_EXPIRED: 'its certificate has expired. Renew it on the server.',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet. Compare the clocks of both machines.',
  CERT_REVOKED: 'its certificate was revoked. Give the server a new one.',
  unknownAuthority:
    'its certificate is from an authority that is not trusted here. Name the file of that authority by sslrootcert in the connection string, or by NODE_EXTRA_CA_CERTS.',
};

/** As OpenSSL calls the ways in which a chain does not end at an authority that is trusted. */
const UNKNOWN_AUTHORITY = new Set([
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
