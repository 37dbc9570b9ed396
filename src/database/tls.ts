import { readFileSync } from 'node:fs';
import { BlockList, isIP, Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import { errorCodeOf, PgwatchError } from '../errors.ts';

/**
 * verify: trusted authority and matching host. no-verify: encrypted, but any server is accepted.
 */
export type TlsMode = 'verify' | 'no-verify' | 'off';

/** What determines the TLS mode. */
export type TlsWish = {
  host: string;
  /** Parameters of the connection string: libpq's sslmode, sslrootcert and so on. */
  parameters: URLSearchParams;
  /** The mode set in the config; null if there is none. */
  tls: TlsMode | null;
};

/** The parameters that we read ourselves: how node-postgres interprets them changes over time. */
export const TLS_PARAMETERS: readonly string[] = [
  'ssl',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslnegotiation',
  'uselibpqcompat',
];

/**
 * The config decides, or else the connection string, or else PGSSLMODE. By default, only a loopback
 * host is unencrypted.
 */
export function tlsModeOf({ host, parameters, tls }: TlsWish): TlsMode {
  // As in libpq: PostgreSQL does not use TLS on a Unix socket, where no network is involved.
  if (host.startsWith('/')) return 'off';
  if (tls !== null) return tls;
  const hasFile = FILES.some((name) => parameters.get(name));
  const said =
    parameters.get('sslmode') ||
    parameters.get('ssl') ||
    (hasFile ? 'verify-full' : process.env.PGSSLMODE);
  if (said) return MODES[said] ?? 'verify';
  return isLoopback(host) ? 'off' : 'verify';
}

/**
 * The TLS options for node-postgres.
 * @throws PgwatchError config_invalid if a certificate or key file cannot be read
 */
export function tlsConfig(wish: TlsWish): ClientConfig {
  const mode = tlsModeOf(wish);
  // Set explicitly, since node-postgres would read the environment.
  if (mode === 'off') return { ssl: false, sslnegotiation: 'postgres' };
  const [ca, cert, key] = FILES.map((name) => readNamed(wish.parameters, name));
  const isDirect = parameterOf(wish.parameters, 'sslnegotiation') === 'direct';
  return {
    ssl: { rejectUnauthorized: mode === 'verify', ca, cert, key },
    sslnegotiation: isDirect ? 'direct' : 'postgres',
    ...(isDirect ? {} : { stream: socketThatRefuses }),
  };
}

function readNamed(parameters: URLSearchParams, name: string): string | undefined {
  const path = parameterOf(parameters, name);
  // libpq's word for the authorities that the system trusts, which is the default of Node.js.
  if (!path || path === 'system') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const problem = errorCodeOf(cause) === 'ENOENT' ? 'does not exist' : 'cannot be read';
    throw new PgwatchError('config_invalid', `The file ${path}, named by ${name}, ${problem}.`, {
      cause,
    });
  }
}

function parameterOf(parameters: URLSearchParams, name: string): string | undefined {
  return parameters.get(name) || process.env[`PG${name.toUpperCase()}`];
}

/** A socket that fails with our own error code if the server answers that it has no TLS. */
function socketThatRefuses(): Socket {
  const socket = new Socket();
  socket.once('data', (answer) => {
    // Emitted before node-postgres sees the answer and fails with an error without a code.
    if (answer[0] === NO) socket.emit('error', new TlsRefusedError());
  });
  return socket;
}

class TlsRefusedError extends Error {
  readonly code = 'TLS_REFUSED';

  constructor() {
    super('The server does not offer TLS.');
  }
}

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  const version = isIP(host);
  return version !== 0 && LOOPBACK.check(host, version === 6 ? 'ipv6' : 'ipv4');
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** All other values mean verify, including libpq's "prefer" and "require". */
const MODES: Record<string, TlsMode> = {
  disable: 'off',
  false: 'off',
  '0': 'off',
  'no-verify': 'no-verify',
};
const FILES = ['sslrootcert', 'sslcert', 'sslkey'];
/** The byte with which a server without TLS answers a request for it. */
const NO = 'N'.charCodeAt(0);
