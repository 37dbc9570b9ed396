import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { startEmbedded } from '../../src/embedded/server.ts';

/**
 * Makes the folder of an isolated server, initialised and migrated, as a copy of the one made by
 * the first test file of the run. Copying takes a tenth of the time.
 */
export async function makeServerFolder(binaries: string | undefined): Promise<string> {
  const template = inject('isolatedTemplate');
  if (!existsSync(template)) await makeTemplate(template, binaries);
  const folder = openFolder();
  // With the owners: a server refuses files of other users.
  const { status, stderr } = spawnSync('cp', ['-a', template, join(folder, 'data')]);
  if (status !== 0) throw new Error(`cp failed: ${stderr}`);
  return folder;
}

async function makeTemplate(template: string, binaries: string | undefined): Promise<void> {
  const folder = openFolder();
  const server = await startEmbedded({ folder, binaries, settings: { fsync: 'off' } });
  const config = await loadConfig({ flags: { url: server.url }, environment: {}, folder });
  await withConnection(config, (client) => migrateUp(client, config));
  await server.stop();
  trustSuperuser(join(folder, 'data'));
  try {
    renameSync(join(folder, 'data'), template);
  } catch {
    // Another worker was faster.
  }
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Lets the superuser in without a password, from the server's next start or reload. Checking the
 * password takes a quarter of the time of a connection, and tests open thousands.
 */
export function trustSuperuser(data: string): void {
  const file = join(data, 'pg_hba.conf');
  const lines = readFileSync(file, 'utf8');
  writeFileSync(file, `host all postgres 127.0.0.1/32 trust\n${lines}`);
}

/** Open to all users, so if we are root the server's user can enter it. */
function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-isolated-'));
  chmodSync(folder, 0o755);
  return folder;
}
