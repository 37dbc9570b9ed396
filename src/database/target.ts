import pg from 'pg';
import { TLS_PARAMETERS, type TlsMode, tlsConfig, tlsModeOf } from './tls.ts';

export type ConnectOptions = {
  /** Null: from libpq's environment variables. */
  url: string | null;
  /** Default null: from the connection string, or else by the host. */
  tls?: TlsMode | null;
  /** Shown in pg_stat_activity. Default 'pgwatch'. */
  applicationName?: string;
};

/**
 * The options for node-postgres.
 * @throws PgwatchError config_invalid if a certificate or key file cannot be read
 */
export function clientOptions(options: ConnectOptions): pg.ClientConfig {
  const { base, wish } = resolve(options);
  return {
    ...base,
    ...tlsConfig(wish),
    application_name: options.applicationName ?? 'pgwatch',
    connectionTimeoutMillis: CONNECT_MS_MAX,
    keepAlive: true,
    // By default, the system sends the first probe after two hours.
    keepAliveInitialDelayMillis: 10_000,
  };
}

/** The host and port that a connection string leads to. */
export function describeHost(options: ConnectOptions): string {
  const { host, port } = resolve(options).client;
  return `${host}:${port}`;
}

/** The server and database of a connection string, without its password. */
export function describeTarget(options: ConnectOptions): string {
  const { database, user } = resolve(options).client;
  const parts = [describeHost(options)];
  if (database) parts.push(`database "${database}"`);
  if (user) parts.push(`user "${user}"`);
  return parts.join(', ');
}

/** True if an attacker on the network could pose as the server. */
export function isUnverified(options: ConnectOptions): boolean {
  return tlsModeOf(resolve(options).wish) === 'no-verify';
}

function resolve({ url, tls = null }: ConnectOptions) {
  const [start = '', query = ''] = url?.split('?') ?? [];
  const parameters = new URLSearchParams(query);
  const others = new URLSearchParams(query);
  for (const name of TLS_PARAMETERS) others.delete(name);
  const base = url === null ? {} : { connectionString: others.size ? `${start}?${others}` : start };
  // Finds the host in the string or in the environment; this client never connects.
  const client = new pg.Client({ ...base, ssl: false, sslnegotiation: 'postgres' });
  return { base, client, wish: { host: client.host, parameters, tls } };
}

/** How long connecting may take, TLS and password included. */
export const CONNECT_MS_MAX = 10_000;
