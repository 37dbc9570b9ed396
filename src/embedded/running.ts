import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withConnection } from '../database/connect.ts';
import { errorCodeOf } from '../errors.ts';
import { sleep } from '../time.ts';

/** An embedded PostgreSQL server, on 127.0.0.1. */
export type EmbeddedServer = {
  url: string;
  folder: string;
  /** The postmaster's process id. */
  pid: number;
  /**
   * Stops the server and waits for that. Does nothing if a process that still runs started it.
   */
  stop(): Promise<void>;
};

/** The server whose postmaster.pid is in the folder, if it answers and uses that folder. */
export async function findRunning(folder: string): Promise<EmbeddedServer | undefined> {
  const pidFile = join(folder, 'data', 'postmaster.pid');
  if (!existsSync(pidFile)) return undefined;
  const lines = readFileSync(pidFile, 'utf8').split('\n');
  const [pid, url] = [Number(lines[0]), serverUrl(Number(lines[3]))];
  if (!(await servesFolder(url, folder))) return undefined;
  if (isOwned(folder)) return { url, folder, pid, stop: async () => {} };
  own(folder);
  return { url, folder, pid, stop: () => stopOrphan(pid, pidFile) };
}

/**
 * True if a server answers and uses this folder. Another embedded server may have its port by now,
 * and all of them have the same password.
 */
export async function servesFolder(url: string, folder: string): Promise<boolean> {
  return withConnection({ url, tls: 'off' }, async (client) => {
    const { rows } = await client.query('show data_directory');
    return rows[0].data_directory === join(folder, 'data');
  }).catch(() => false);
}

/** Records that this process stops the server. */
export function own(folder: string): void {
  writeFileSync(join(folder, 'owner'), String(process.pid));
}

/**
 * True while the process that has to stop the server is alive. If it was killed, the next process
 * takes over the server.
 */
function isOwned(folder: string): boolean {
  try {
    process.kill(Number(readFileSync(join(folder, 'owner'), 'utf8')), 0);
    return true;
  } catch (thrown) {
    // EPERM: the process is alive, but we may not signal it.
    return errorCodeOf(thrown) === 'EPERM';
  }
}

/** Like stopServer, for a server whose parent is dead. The server removes the file last. */
async function stopOrphan(pid: number, pidFile: string): Promise<void> {
  const never = new AbortController().signal;
  process.kill(pid, 'SIGINT');
  for (let waitedMs = 0; waitedMs < STOP_MS_MAX && existsSync(pidFile); waitedMs += 50) {
    await sleep(50, never);
  }
  if (existsSync(pidFile)) process.kill(pid, 'SIGKILL');
}

/** The connection string of an embedded server. */
export function serverUrl(port: number): string {
  return `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
}

/** Not a secret: the server listens on 127.0.0.1 only and holds development data. */
export const PASSWORD = 'pgwatch';

/** How long a server may take to stop before it is killed. */
export const STOP_MS_MAX = 20_000;
