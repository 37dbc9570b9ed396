import type { ClientConfig } from 'pg';
import type { TriggerOptions } from './triggers.ts';

/** A number of milliseconds, or a text with a unit: '250ms', '5s', '2m', '1h', '7d'. */
export type Duration = number | string;

/** A number of bytes, or a text with a unit: '64KB', '4MB'. */
export type ByteSize = number | string;

/** The options in pgwatch.config.ts, with hooks of any kind. Everything is optional. */
export type ConfigOptions = {
  /** Connection string. Default: DATABASE_URL, or libpq's PGHOST, PGUSER and so on. */
  url?: string;
  /**
   * Connection string that bypasses a transaction pooler, for the control connection. Default: url.
   */
  directUrl?: string;
  /**
   * Whether connections are encrypted, and the server's certificate verified. Default: sslmode in
   * the connection string, or PGSSLMODE; otherwise 'off' on this machine and 'verify' elsewhere.
   */
  tls?: 'verify' | 'no-verify' | 'off';
  /** The schema of the log. Default 'pgwatch'. */
  schema?: string;
  /** The schema of smart_notify and notify_data_change. Default 'public'. */
  apiSchema?: string;
  /** Roles that "pgwatch migrate" grants the privileges they need. Default none. */
  roles?: {
    /** May call smart_notify. */
    publish?: string[];
    /** May run consumers. */
    consume?: string[];
    /** May read the log. */
    read?: string[];
    /**
     * May create capture triggers, as in printed SQL. Owners of captured tables that are
     * partitioned need it to add partitions, because each partition gets the triggers.
     */
    capture?: string[];
  };
  /**
   * The tables that "pgwatch trigger sync" captures, and how. Names include the schema if it is not
   * on the search path: { users: { exclude: ['password'] }, 'app.orders': {} }. Default: no tables
   * are managed.
   */
  triggers?: Record<string, TriggerOptions>;
  /** The folder of consumer files, relative to the config file. Default 'consumers'. */
  consumers?: string;
  /** How much time one partition of the log spans: 'day' (default) or 'hour'. */
  partition?: 'day' | 'hour';
  /** How many partitions are created ahead of the current one. Default 3. */
  partitionsAhead?: number;
  /**
   * How long notifications are kept, like '7d': the daemon drops partitions in which everything is
   * older, if no consumer needs them. Default: until "pgwatch cleanup" removes them.
   */
  retention?: Duration;
  /** The time between polls while no doorbell rings. Default '5s'. */
  pollInterval?: Duration;
  /** The wait before reconnecting, doubled after each attempt up to 2 s. Default '500ms'. */
  reconnectDelay?: Duration;
  /** The time between checks that the control connection is alive. Default '5s'. */
  heartbeatInterval?: Duration;
  /** How long such a check may take before the connection counts as dead. Default '5s'. */
  heartbeatDeadline?: Duration;
  /** The maximum number of notifications read at once. Default 500. */
  maxBatchSize?: number;
  /**
   * The approximate number of bytes read at once; a notification that is larger is read alone.
   * Default '4MB'.
   */
  maxBatchBytes?: ByteSize;
  /**
   * The maximum number of connections, besides the control connection: up to 4 read the log, the
   * others are for handlers. Default 10.
   */
  poolSize?: number;
  /** How long running handlers may take to finish at shutdown. Default '30s'. */
  shutdownTimeout?: Duration;
  around?: Hook;
  onDead?: Hook;
};

/** A function of the program. What it takes is defined where consumers are. */
export type Hook = (...args: never[]) => unknown;

/** What roles may be allowed to do. */
export const ROLE_KINDS = ['publish', 'consume', 'read', 'capture'] as const;
export type RoleKind = (typeof ROLE_KINDS)[number];

/** The complete configuration: checked, frozen, nothing optional, durations in milliseconds. */
export type Config = Readonly<{
  /** Null: from libpq's environment variables. */
  url: string | null;
  directUrl: string | null;
  /** The options of a program's own pool, used instead of url and tls; null: there is none. */
  client: ClientConfig | null;
  /** Null: from the connection string, else by the host. */
  tls: 'verify' | 'no-verify' | 'off' | null;
  schema: string;
  apiSchema: string;
  roles: Readonly<Record<RoleKind, readonly string[]>>;
  /** Null: the config manages no tables. */
  triggers: Readonly<Record<string, TriggerOptions>> | null;
  /** Absolute path. */
  consumers: string;
  partition: 'day' | 'hour';
  partitionsAhead: number;
  /** Null: nothing is removed. */
  retentionMs: number | null;
  pollIntervalMs: number;
  reconnectDelayMs: number;
  heartbeatIntervalMs: number;
  heartbeatDeadlineMs: number;
  maxBatchSize: number;
  maxBatchBytes: number;
  poolSize: number;
  shutdownTimeoutMs: number;
  around: Hook | null;
  onDead: Hook | null;
  /** The config file that was read; null if there is none. */
  file: string | null;
}>;
