import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../src/config/define.ts';
import { loadConfig } from '../src/config/load.ts';
import { withConnection } from '../src/database/connect.ts';
import { migrateUp } from '../src/database/migrate.ts';
import { startEmbedded } from '../src/embedded/server.ts';

/** Runs the work on a migrated server of its own, which is removed afterwards. */
export async function withServer(
  work: (config: Config) => Promise<void>,
  overrides: Record<string, string> = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-bench-'));
  const settings = { fsync: 'off', shared_buffers: '256MB', ...overrides };
  const server = await startEmbedded({ folder, settings });
  try {
    const flags = { url: server.url, pollInterval: '60s' };
    const config = await loadConfig({ flags, environment: {} });
    await withConnection(config, (client) => migrateUp(client, config));
    await work(config);
  } finally {
    await server.stop();
    rmSync(server.folder, { recursive: true, force: true });
  }
}
