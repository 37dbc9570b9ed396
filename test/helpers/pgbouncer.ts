import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../src/database/connect.ts';
import { serverUser } from '../../src/embedded/binaries.ts';
import { until } from './wait.ts';

/** A PgBouncer in front of a server. */
export type PgBouncer = {
  /** The server's connection string, through PgBouncer. */
  url: string;
  stop(): Promise<void>;
};

/** The program, from PGWATCH_TEST_PGBOUNCER or a usual place; undefined if not found. */
export function findPgBouncer(): string | undefined {
  const candidates = [process.env.PGWATCH_TEST_PGBOUNCER, 'pgbouncer', '/usr/sbin/pgbouncer'];
  return candidates.find((path) => path && spawnSync(path, ['--version']).status === 0);
}

/** Starts PgBouncer, on a free port unless listen_port is set. It does not run as root. */
export async function startPgBouncer(
  program: string,
  serverUrl: string,
  settings: Record<string, string | number>,
): Promise<PgBouncer> {
  const { hostname, port, username, password } = new URL(serverUrl);
  const url = new URL(serverUrl);
  Object.assign(url, { hostname: '127.0.0.1', port: settings.listen_port ?? (await freePort()) });
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-pgbouncer-'));
  const lines = Object.entries({
    listen_addr: '127.0.0.1',
    listen_port: url.port,
    // Clients need no password; PgBouncer has the server's.
    auth_type: 'any',
    ...settings,
  }).map(([name, value]) => `${name} = ${value}`);
  const server =
    `* = host=${hostname} port=${port} user=${decodeURIComponent(username)} ` +
    `password=${decodeURIComponent(password)}`;
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(file, `[databases]\n${server}\n[pgbouncer]\n${lines.join('\n')}\n`);
  chmodSync(folder, 0o755);
  const child = spawn(program, ['-q', file], { stdio: 'ignore', ...serverUser() });
  const exited = once(child, 'exit');
  const stop = async () => {
    // Other signals may wait for its clients; which of them do depends on the version.
    child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  await until('PgBouncer answers', () =>
    connect({ url: url.href }).then((client) => client.end().then(() => true), String),
  );
  return { url: url.href, stop };
}

async function freePort(): Promise<string> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, 'close');
  return String(port);
}
