import pg, { type ClientConfig } from 'pg';
import { TLS_PARAMETERS, type TlsMode, tlsConfig, tlsModeOf } from './tls.ts';

export type ConnectOptions = {
  /** Null: from libpq's environment variables. */
  url: string | null;
  /** Default null: from the connection string, or else by the host. */
  tls?: TlsMode | null;
  /** The options of a program's own pool, used instead of url and tls. Default null. */
  client?: ClientConfig | null;
  /** Shown in pg_stat_activity. Default 'pgwatch'. */
  applicationName?: string;
};

/** Where a config leads to. */
export type Places = {
  url: string | null;
  directUrl: string | null;
  tls: TlsMode | null;
  client: ClientConfig | null;
};

/** Where most connections lead to: a pooler may be in between. */
export function usualTarget({ url, tls, client }: Places): ConnectOptions {
  return { url, tls, client };
}

/** Where the connections lead to that need a session of the server. */
export function directTarget({ directUrl, ...places }: Places): ConnectOptions {
  return directUrl === null
    ? usualTarget({ directUrl, ...places })
    : { url: directUrl, tls: places.tls };
}

/** Both, or one if they are the same. */
export function targetsOf(places: Places): ConnectOptions[] {
  return places.directUrl === null
    ? [usualTarget(places)]
    : [usualTarget(places), directTarget(places)];
}

/** The options of a pool that say where its connections lead to. */
export function clientConfigOf(options: ClientConfig): ClientConfig {
  return Object.fromEntries(
    PLACE_OPTIONS.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
}

const PLACE_OPTIONS = [
  'connectionString',
  'host',
  'port',
  'user',
  'password',
  'database',
  'ssl',
  'sslnegotiation',
  'stream',
  'options',
] as const satisfies (keyof ClientConfig)[];

/**
 * The options for node-postgres.
 * @throws PgwatchError config_invalid if a certificate or key file cannot be read
 */
export function clientOptions(options: ConnectOptions): ClientConfig {
  const { base, wish } = resolve(options);
  return {
    ...base,
    ...(options.client ? {} : tlsConfig(wish)),
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
  const { client } = options;
  if (client) return typeof client.ssl === 'object' && client.ssl.rejectUnauthorized === false;
  return tlsModeOf(resolve(options).wish) === 'no-verify';
}

function resolve({ url, tls = null, client: own = null }: ConnectOptions) {
  const [start = '', query = ''] = url?.split('?') ?? [];
  const parameters = new URLSearchParams(query);
  const others = new URLSearchParams(query);
  for (const name of TLS_PARAMETERS) others.delete(name);
  const named =
    url === null ? {} : { connectionString: others.size ? `${start}?${others}` : start };
  const base: ClientConfig = own ?? named;
  // Finds the host in the string or in the environment; this client never connects.
  const client = new pg.Client({ ...base, ssl: false, sslnegotiation: 'postgres' });
  return { base, client, wish: { host: client.host, parameters, tls } };
}

/** How long connecting may take, TLS and password included. */
export const CONNECT_MS_MAX = 10_000;
