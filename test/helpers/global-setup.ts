import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { loadConfig } from '../../src/config/load.ts';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { startEmbedded } from '../../src/embedded/server.ts';
import type { Door } from './doors/doors.ts';
import { trustSuperuser } from './isolated-data.ts';
import { isWhole, share } from './share.ts';

declare module 'vitest' {
  interface ProvidedContext {
    serverUrl: string;
    templateName: string;
    serverMajor: number;
    /** The data folder of an isolated server; made by the first test file that wants one. */
    isolatedTemplate: string;
    /** How the tests run consumers. */
    door: Door;
  }
}

type Server = { url: string; kind: string; stop(): Promise<void> };

/**
 * Starts one server for the run: PGWATCH_TEST_DATABASE_URL if set, otherwise a container if a
 * Docker engine has the image, otherwise the embedded PostgreSQL (of another version with
 * PGWATCH_TEST_BINARIES). Creating a database takes milliseconds, starting a server seconds, so
 * each test file clones a template that is migrated here once.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = givenServer() ?? (await startContainer()) ?? (await startOwn());
  const templateName = `pgwatch_template_${process.pid}`;
  try {
    await prepare(project, server, templateName);
  } catch (thrown) {
    await server.stop();
    throw thrown;
  }
  const isolatedTemplate = join(tmpdir(), `pgwatch-isolated-template-${process.pid}`);
  project.provide('isolatedTemplate', isolatedTemplate);
  return async () => {
    await withConnection({ url: server.url }, (client) =>
      client.query(`drop database if exists ${templateName} with (force)`),
    );
    await server.stop();
    rmSync(isolatedTemplate, { recursive: true, force: true });
  };
}

async function prepare(project: TestProject, server: Server, templateName: string): Promise<void> {
  const cases = isWhole
    ? 'all cases'
    : `share ${share} of the cases that differ in a detail or the door`;
  await withConnection({ url: server.url }, async (client) => {
    await client.query(`create database ${templateName}`);
    const { rows } = await client.query(
      `select current_setting('server_version') as server_version,
         current_setting('server_version_num')::int / 10000 as major`,
    );
    project.provide('serverMajor', rows[0].major);
    console.log(`Tests run on PostgreSQL ${rows[0].server_version} (${server.kind}), ${cases}.`);
  });
  const config = await loadConfig({
    flags: { url: withDatabase(server.url, templateName) },
    environment: {},
  });
  await withConnection(config, (client) => migrateUp(client, config));
  project.provide('serverUrl', server.url);
  project.provide('templateName', templateName);
}

function givenServer(): Server | undefined {
  const url = process.env.PGWATCH_TEST_DATABASE_URL;
  return url ? { url, kind: 'PGWATCH_TEST_DATABASE_URL', stop: async () => {} } : undefined;
}

async function startContainer(): Promise<Server | undefined> {
  if (process.env.PGWATCH_TEST_BINARIES) return undefined;
  // Without the image of its reaper, testcontainers would wait for a registry.
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  const { getContainerRuntimeClient, ImageName } = await import('testcontainers');
  try {
    const runtime = await getContainerRuntimeClient();
    if (!(await runtime.image.exists(ImageName.fromString(IMAGE)))) return undefined;
  } catch {
    return undefined;
  }
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  const flags = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const container = await new PostgreSqlContainer(IMAGE)
    .withCommand(['postgres', ...flags])
    .start();
  return {
    url: container.getConnectionUri(),
    kind: 'testcontainers',
    stop: async () => void (await container.stop()),
  };
}

async function startOwn(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-test-'));
  const server = await startEmbedded({
    folder,
    settings: SETTINGS,
    binaries: process.env.PGWATCH_TEST_BINARIES,
  });
  trustSuperuser(join(server.folder, 'data'));
  process.kill(server.pid, 'SIGHUP');
  return {
    url: server.url,
    kind: 'embedded',
    async stop() {
      await server.stop();
      rmSync(server.folder, { recursive: true, force: true });
    },
  };
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

const IMAGE = 'postgres:18-alpine';
/**
 * Tests need speed, not data that survives a crash; tests that need durability start a server of
 * their own.
 */
const SETTINGS = {
  max_connections: '300',
  max_prepared_transactions: '10',
  // Nothing has to survive. With a database for each file, autovacuum would always be busy.
  autovacuum_naptime: '1h',
  checkpoint_timeout: '1h',
  fsync: 'off',
  full_page_writes: 'off',
  max_wal_size: '2GB',
};
