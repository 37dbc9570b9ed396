import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withConnection } from '../database/connect.ts';
import { errorCodeOf } from '../errors.ts';
import { sleep } from '../time.ts';

/** A PostgreSQL server of our own, on 127.0.0.1. */
export type EmbeddedServer = {
  url: string;
  folder: string;
  /** The postmaster's process id. */
  pid: number;
  /** Waits until the server has stopped. Does nothing for one that another live process started. */
  stop(): Promise<void>;
};

/** The server whose postmaster.pid lies in the folder, if it answers and is that one. */
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
 * True where a server answers and is the folder's: its port may be another's, and all have one
 * password.
 */
export async function servesFolder(url: string, folder: string): Promise<boolean> {
  return withConnection({ url, tls: 'off' }, async (client) => {
    const { rows } = await client.query('show data_directory');
    return rows[0].data_directory === join(folder, 'data');
  }).catch(() => false);
}

/** Writes down who stops the server. */
export function own(folder: string): void {
  writeFileSync(join(folder, 'owner'), String(process.pid));
}

/**
 * True while the process that is to stop the server lives. Killed, it leaves the server to the
 * next.
 */
function isOwned(folder: string): boolean {
  try {
    process.kill(Number(readFileSync(join(folder, 'owner'), 'utf8')), 0);
    return true;
  } catch (thrown) {
    // It lives where it is only not ours to signal.
    return errorCodeOf(thrown) === 'EPERM';
  }
}

/** As stopServer, for a server whose parent is dead: its last act is to remove the file. */
async function stopOrphan(pid: number, pidFile: string): Promise<void> {
  const never = new AbortController().signal;
  process.kill(pid, 'SIGINT');
  for (let waitedMs = 0; waitedMs < STOP_MS_MAX && existsSync(pidFile); waitedMs += 50) {
    await sleep(50, never);
  }
  if (existsSync(pidFile)) process.kill(pid, 'SIGKILL');
}

/** The connection string of a server on that port. */
export function serverUrl(port: number): string {
  return `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
}

/** No secret: the server listens on 127.0.0.1 only and holds what development puts there. */
export const PASSWORD = 'pgwatch';

/** How long a server may take to stop before it is killed. */
export const STOP_MS_MAX = 20_000;
