import { readFileSync } from 'node:fs';
import { BlockList, isIP, Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import { errorCodeOf, PgwatchError } from '../errors.ts';

/** verify: known authority, right host. no-verify: encrypted, with whoever answers. */
export type TlsMode = 'verify' | 'no-verify' | 'off';

/** What decides on TLS. */
export type TlsWish = {
  host: string;
  /** Of the connection string: sslmode, sslrootcert and so on, which are libpq's. */
  parameters: URLSearchParams;
  /** What the config says; null where it says nothing. */
  tls: TlsMode | null;
};

/** The parameters that are ours to read: what node-postgres makes of them changes in time. */
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
 * The config decides, else the connection string, else PGSSLMODE; by itself only a loopback is
 * plain.
 */
export function tlsModeOf({ host, parameters, tls }: TlsWish): TlsMode {
  // As in libpq: PostgreSQL speaks no TLS on a Unix socket, where there is no network to fear.
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
 * The part of node-postgres's options that is about TLS.
 * @throws PgwatchError config_invalid where a file of a certificate or key cannot be read
 */
export function tlsConfig(wish: TlsWish): ClientConfig {
  const mode = tlsModeOf(wish);
  // Said in any case, since node-postgres would ask the environment.
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
  // libpq's word for the authorities that the system trusts, which Node.js does by itself.
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

/** A socket that fails with a code of our own where the server answers that it speaks no TLS. */
function socketThatRefuses(): Socket {
  const socket = new Socket();
  socket.once('data', (answer) => {
    // At once, before node-postgres sees the answer and fails with an error without a code.
    if (answer[0] === NO) socket.emit('error', new TlsRefusedError());
  });
  return socket;
}

class TlsRefusedError extends Error {
  readonly code = 'TLS_REFUSED';

  constructor() {
    super('The server offers no TLS.');
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

/** What is not here is verified, libpq's "prefer" and "require" too. */
const MODES: Record<string, TlsMode> = {
  disable: 'off',
  false: 'off',
  '0': 'off',
  'no-verify': 'no-verify',
};
const FILES = ['sslrootcert', 'sslcert', 'sslkey'];
/** The byte by which a server answers a request for TLS where it has none. */
const NO = 'N'.charCodeAt(0);
