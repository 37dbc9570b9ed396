import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { withConnection } from '../../src/database/connect.ts';
import { serverUser } from '../../src/embedded/binaries.ts';
import { startEmbedded } from '../../src/embedded/server.ts';

/** The folder of a PostgreSQL that has a program which the embedded one lacks. */
export function findBinaries(program: string): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort() : [];
  const folders = [process.env.PGWATCH_TEST_BINARIES, ...versions.map((v) => join(debian, v))];
  return folders.findLast((folder) => folder && existsSync(join(folder, 'bin', program)));
}

/**
 * Makes the data of a new server whose next xid is a little below a multiple of 2^32, so its xids
 * have more than 32 bits, and their lower 32 bits soon wrap around.
 * @returns the folder to start the server in, with the same binaries
 */
export async function makeHighXids(binaries: string, xidsBelow: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-high-xids-'));
  const server = await startEmbedded({ folder, binaries, port: 0 });
  // Rows that are not frozen would be in the future once the xids have moved on.
  await withConnection({ url: server.url }, async (client) => {
    await client.query('alter database template0 allow_connections true');
    for (const database of ['postgres', 'template1', 'template0']) {
      await freeze(new URL(`/${database}`, server.url).href);
    }
    await client.query('alter database template0 allow_connections false');
    await freezeWith(client);
  });
  await server.stop();
  moveXids(binaries, join(server.folder, 'data'), 2 ** 32 - xidsBelow);
  return folder;
}

async function freeze(url: string): Promise<void> {
  await withConnection({ url }, freezeWith);
}

async function freezeWith(client: Client): Promise<void> {
  await client.query('vacuum (freeze)');
}

/** The segment of pg_xact with the new xid must exist. */
function moveXids(binaries: string, data: string, nextXid: number): void {
  const segment = Math.floor(nextXid / XIDS_PER_SEGMENT);
  const file = join(data, 'pg_xact', segment.toString(16).toUpperCase().padStart(4, '0'));
  const user = serverUser();
  writeFileSync(file, Buffer.alloc(SEGMENT_BYTES));
  if (user.uid !== undefined) chownSync(file, user.uid, user.gid ?? user.uid);
  const oldest = nextXid - 50_000;
  execFileSync(
    join(binaries, 'bin', 'pg_resetwal'),
    ['-f', '-e', '6', '-x', String(nextXid), '-u', String(oldest), '-D', data],
    { cwd: '/', stdio: 'pipe', ...user },
  );
}

/** 32 pages of 8 kB, with two bits for each xid. */
const SEGMENT_BYTES = 262_144;
const XIDS_PER_SEGMENT = SEGMENT_BYTES * 4;
