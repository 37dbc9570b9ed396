import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Pool, type QueryResult } from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { UserConfig } from '../../src/consumers/hooks.ts';
import { withConnection } from '../../src/database/connect.ts';
import { findBinaries } from '../../src/embedded/binaries.ts';
import { type EmbeddedServer, startEmbedded } from '../../src/embedded/server.ts';
import { makeServerFolder } from './isolated-data.ts';
import { until } from './wait.ts';

/** A database for one test file. The fields are set from the first hook on. */
export type TestDatabase = {
  url: string;
  /** The configuration for it, with short times. */
  config: Config;
  /** A pool for the test's own statements. */
  pool: Pool;
  query(text: string, values?: unknown[]): Promise<QueryResult>;
  /** A connection of its own, closed after the file. */
  connect(): Promise<Client>;
};

/** A clone of the migrated template for the test file that calls it, dropped afterwards. */
export function useDatabase(overrides: UserConfig = {}): TestDatabase {
  const database = {} as TestDatabase;
  const name = `test_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  let close = async () => {};
  beforeAll(async () => {
    const serverUrl = inject('serverUrl');
    await withConnection({ url: serverUrl }, (client) =>
      client.query(`create database ${name} template ${inject('templateName')}`),
    );
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    close = await openDatabase(database, url.href, overrides);
  });
  afterAll(async () => {
    await close();
    await withConnection({ url: inject('serverUrl') }, async (client) => {
      await requireNoConnections(client, name);
      await client.query(`drop database ${name} with (force)`);
    });
  });
  return database;
}

/**
 * A server for the test file that calls it: for tests that hold back the cluster's xmin or kill the
 * server.
 */
export function useIsolatedServer(
  settings: Record<string, string> = {},
): TestDatabase & { server: EmbeddedServer } {
  const database = {} as TestDatabase & { server: EmbeddedServer };
  let close = async () => {};
  beforeAll(async () => {
    const binaries = process.env.PGWATCH_TEST_BINARIES;
    database.server = await startEmbedded({
      folder: await makeServerFolder(binaries),
      binaries,
      settings: { fsync: 'off', max_connections: '200', ...settings },
    });
    close = await openDatabase(database, database.server.url, {});
  });
  afterAll(async () => {
    await close();
    await database.server.stop();
    rmSync(database.server.folder, { recursive: true, force: true });
  });
  return database;
}

/** Empties the log and the state of all consumers. No daemon may be running. */
export async function emptyLog(database: TestDatabase): Promise<void> {
  await database.query(
    `truncate pgwatch.notification_log, pgwatch.consumer_progress, pgwatch.consumer_channel,
       pgwatch.delivery, pgwatch.discarded, pgwatch.daemon, pgwatch.lease, pgwatch.snapshot`,
  );
}

/** Restarts a stopped server in the same folder and on the same port. */
export async function restartServer(database: { server: EmbeddedServer }): Promise<void> {
  const { folder, url } = database.server;
  const port = Number(new URL(url).port);
  const binaries = process.env.PGWATCH_TEST_BINARIES;
  // The same object, so the helpers stop this server at the end.
  Object.assign(database.server, await startEmbedded({ folder, port, binaries }));
}

/** The major version that useIsolatedServer starts. */
export function isolatedMajor(): number {
  const postgres = join(process.env.PGWATCH_TEST_BINARIES ?? findBinaries(), 'bin', 'postgres');
  const { stdout } = spawnSync(postgres, ['--version'], { encoding: 'utf8' });
  return Number(/(\d+)\./.exec(stdout)?.[1]);
}

async function openDatabase(database: TestDatabase, url: string, overrides: UserConfig) {
  const clients: Client[] = [];
  const pool = new Pool({ connectionString: url, max: 10 });
  pool.on('error', () => {});
  database.url = url;
  database.config = await loadConfig({
    flags: { url, reconnectDelay: '20ms', ...overrides },
    environment: {},
    folder: tmpdir(),
  });
  database.pool = pool;
  database.query = (text, values) => pool.query(text, values);
  database.connect = async () => {
    const client = new Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    clients.push(client);
    return client;
  };
  return async () => {
    await Promise.all([pool.end(), ...clients.map((client) => client.end().catch(() => {}))]);
  };
}

/** A connection that is still open when a file ends was leaked by it. */
async function requireNoConnections(client: Client, name: string): Promise<void> {
  await until(`connections to ${name} are closed`, async () => {
    const { rows } = await client.query(
      `select application_name, state, left(query, 60) as query from pg_stat_activity
        where datname = $1 and backend_type = 'client backend'`,
      [name],
    );
    return rows.length === 0 ? true : `open: ${JSON.stringify(rows)}`;
  });
}
