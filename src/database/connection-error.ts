import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { SQLSTATE } from './sqlstate.ts';
import { type ConnectOptions, describeTarget } from './target.ts';

/** An error whose message says why connecting failed, and what to do. */
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

/** An error whose message says that a connection was lost during some work. */
export function lostError(thrown: unknown, options: ConnectOptions): PgwatchError {
  const reason = toError(thrown).message.replace(/\.$/, '');
  return new PgwatchError(
    'connection_failed',
    `The connection to ${describeTarget(options)} was lost: ${reason}. The last step may or may ` +
      'not have been committed; check before you run the command again.',
    { cause: thrown },
  );
}

/** True if waiting may help: the server is down, starting, or full. False for a wrong password. */
export function isTransient(thrown: unknown): boolean {
  const cause = thrown instanceof PgwatchError ? thrown.cause : thrown;
  const code = errorCodeOf(cause) ?? '';
  return !PERMANENT.has(code) && tlsReason(code, cause) === undefined;
}

function sourceOf({ url, client }: ConnectOptions): string {
  if (client) return 'The connection has the options of the pool that was given.';
  return url === null
    ? 'No connection string is set: pass --database-url or set DATABASE_URL.'
    : 'The connection string is in --database-url, DATABASE_URL or the config file.';
}

function tlsReason(code: string, thrown: unknown): string | undefined {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const { host, cert } = thrown as { host: string; cert: { subjectaltname?: string } };
    return (
      `its certificate is for ${cert.subjectaltname ?? 'no host'}, not for "${host}". Connect ` +
      `with a name in the certificate, or give the server a certificate for "${host}".`
    );
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
  ENOTFOUND: 'there is no host with that name',
};

const TLS_REASONS: Record<string, string> = {
  TLS_REFUSED:
    'it does not offer TLS. Enable TLS on the server, or, if the network is trusted, ' +
    "set tls: 'off' or sslmode=disable.",
  CERT_HAS_EXPIRED: 'its certificate has expired. Renew it on the server.',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet. Check the clocks of both machines.',
  CERT_REVOKED: 'its certificate was revoked. Give the server a new one.',
  unknownAuthority:
    'its certificate is from an authority that is not trusted here. Set sslrootcert in the ' +
    "connection string, or NODE_EXTRA_CA_CERTS, to the file with that authority's certificate.",
};

/** OpenSSL's codes for a certificate chain that does not end at a trusted authority. */
const UNKNOWN_AUTHORITY = new Set([
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
