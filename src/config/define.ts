import type { TriggerOptions } from './triggers.ts';

/** A number of milliseconds, or a text with its unit: '250ms', '5s', '2m', '1h', '7d'. */
export type Duration = number | string;

/** A number of bytes, or a text with its unit: '64KB', '4MB'. */
export type ByteSize = number | string;

/** What pgwatch.config.ts may hold. Everything is optional. */
export type UserConfig = {
  /** Connection string. Default: DATABASE_URL, else libpq's PGHOST, PGUSER and so on. */
  url?: string;
  /**
   * Connection string that bypasses a transaction pooler, for the control connection. Default: url.
   */
  directUrl?: string;
  /**
   * Whether connections are encrypted, and the server's certificate verified. Default: what sslmode
   * in the connection string or PGSSLMODE says, else 'off' on this machine and 'verify' elsewhere.
   */
  tls?: 'verify' | 'no-verify' | 'off';
  /** The schema of the log. Default 'pgwatch'. */
  schema?: string;
  /** The schema of smart_notify and notify_data_change. Default 'public'. */
  apiSchema?: string;
  /** Roles that are granted what they need when migrating. Default none. */
  roles?: {
    /** May call smart_notify. */
    publish?: string[];
    /** May run consumers. */
    consume?: string[];
    /** May read the log. */
    read?: string[];
  };
  /**
   * The tables that "pgwatch trigger sync" captures, and how, by name, with the schema where it is
   * not on the search path: { users: { exclude: ['password'] }, 'app.orders': {} }. Default: none
   * are managed.
   */
  triggers?: Record<string, TriggerOptions>;
  /** The folder of consumer files, relative to the config file. Default 'consumers'. */
  consumers?: string;
  /** How much time one partition of the log spans: 'day' (default) or 'hour'. */
  partition?: 'day' | 'hour';
  /** How many partitions are created ahead of the running one. Default 3. */
  partitionsAhead?: number;
  /**
   * How long notifications are kept, '7d': the daemon drops partitions that are older as a whole,
   * if no consumer needs anything of them. Default: until "pgwatch cleanup" removes them.
   */
  retention?: Duration;
  /** The time between polls while nothing rings. Default '5s'. */
  pollInterval?: Duration;
  /** The first wait before reconnecting; it doubles up to 30 s. Default '500ms'. */
  reconnectDelay?: Duration;
  /** The time between checks that the control connection is alive. Default '5s'. */
  heartbeatInterval?: Duration;
  /** How long such a check may take before the connection counts as dead. Default '5s'. */
  heartbeatDeadline?: Duration;
  /** How many notifications are read at once, at most. Default 500. */
  maxBatchSize?: number;
  /**
   * How many bytes of notifications are read at once, about; a larger one comes alone. Default
   * '4MB'.
   */
  maxBatchBytes?: ByteSize;
  /**
   * How many connections there are at most, besides the control connection: up to 4 read the log,
   * the others are what handlers write with. Default 10.
   */
  poolSize?: number;
  /** How long running handlers may take to finish at shutdown. Default '30s'. */
  shutdownTimeout?: Duration;
};

/** The complete configuration: checked, frozen, nothing optional, durations in milliseconds. */
export type Config = Readonly<{
  /** Null: libpq's environment variables. */
  url: string | null;
  directUrl: string | null;
  /** Null: what the connection string says, else by the host. */
  tls: 'verify' | 'no-verify' | 'off' | null;
  schema: string;
  apiSchema: string;
  roles: Readonly<{
    publish: readonly string[];
    consume: readonly string[];
    read: readonly string[];
  }>;
  /** Null: none are managed by the config. */
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
  /** The config file that was read; null where there is none. */
  file: string | null;
}>;

/** Gives a config file its types. Returns what it is given. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}
