import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { until } from '../helpers/wait.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const LIVE = /^ +\d+ {2}data_change +\S+ +(<1|\d+) ms .* insert /m;
const REPLAYED = /^ +\d+ {2}data_change +\S+ +↻ /m;
const LARGE = /^ +\d+ {2}reports .* ● [\d.]+ kB /m;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgwatch-dev-'));
  // The server's user, which is not root, must be able to enter the folder.
  chmodSync(folder, 0o755);
});

afterEach(() => {
  const pid = serverPid();
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

test('the demo shows live, replayed and large notifications, and restarts cleanly', async () => {
  copyExamples();
  const first = startCli(['dev', '--demo'], { cwd: folder });
  for (const line of [REPLAYED, LARGE, LIVE]) await first.waitFor(line);
  await first.waitFor(/webhook: 1 posted to http:\/\/127\.0\.0\.1:\d+\/webhook\./);
  const pid = serverPid() ?? 0;
  expect(isAlive(pid)).toBe(true);
  first.signal('SIGINT');
  const { exitCode, stdout, stderr } = await first.exited;
  expect(stderr).toMatch(/(\d+) notifications written, \1 handled: none were lost\./);
  expect(exitCode).toBe(0);
  expect(isAlive(pid)).toBe(false);
  expect(stdout.split('\n').every((line) => line.length <= 120)).toBe(true);

  const second = startCli(['dev', '--demo'], { cwd: folder });
  for (const line of [REPLAYED, LARGE, LIVE]) await second.waitFor(line);
  expect(second.stderr).not.toContain('is new');
  expect(firstId(second.stdout)).toBeGreaterThan(firstId(stdout) + 5);
  second.signal('SIGTERM');
  await expect(second.exited).resolves.toMatchObject({ exitCode: 0 });
});

test('after kill -9 the demo takes over the running server and what was missed', async () => {
  const killed = startCli(['dev', '--demo'], { cwd: folder });
  await killed.waitFor(LIVE);
  killed.signal('SIGKILL');
  await killed.exited;
  const pid = serverPid() ?? 0;
  expect(isAlive(pid)).toBe(true);
  const url = /postgres:\/\/\S+/.exec(killed.stderr)?.[0] ?? '';
  await withConnection({ url }, (client) =>
    client.query(`insert into demo.orders (item, buyer) values ('missed', 'you')`),
  );

  const next = startCli(['dev', '--demo'], { cwd: folder });
  await next.waitFor(/↻ .* insert missed, you, new/);
  await next.waitFor(LIVE);
  next.signal('SIGINT');
  await expect(next.exited).resolves.toMatchObject({ exitCode: 0 });
  expect(serverPid()).toBeUndefined();
  // It is not our child process: it may take a moment to end after it has removed the file.
  await until('the server has ended', () => !isAlive(pid));
});

test('without --demo the consumers of the folder run, on the same kind of server', async () => {
  mkdirSync(join(folder, 'consumers'));
  writeFileSync(
    join(folder, 'consumers', 'echo.mjs'),
    `export default { channels: ['x'], handle(n, { reporter }) {
      reporter.info('got ' + n.payload);
    } };`,
  );
  const dev = startCli(['dev'], { cwd: folder });
  await dev.waitFor('echo missed nothing; following the tail.');
  const url = /postgres:\/\/\S+/.exec(dev.stderr)?.[0] ?? '';
  const sent = await runCli(['notify', 'x', '"hello"', '--database-url', url]);
  expect(sent).toMatchObject({ exitCode: 0, stdout: '1\n' });
  await dev.waitFor('echo: got hello');
  dev.signal('SIGINT');
  await expect(dev.exited).resolves.toMatchObject({ exitCode: 0, stdout: '' });
  expect(serverPid()).toBeUndefined();
});

test('without --demo and consumers dev runs the server, and keeps its port', async () => {
  const urls: (string | undefined)[] = [];
  for (const _ of [1, 2]) {
    const dev = startCli(['dev'], { cwd: folder });
    await dev.waitFor(`There are no consumers in ${join(folder, 'consumers')} yet`);
    urls.push(/export DATABASE_URL=(\S+)/.exec(dev.stderr)?.[1]);
    const sent = await runCli(['notify', 'x', '--database-url', urls.at(-1) ?? '']);
    expect(sent.exitCode).toBe(0);
    dev.signal('SIGINT');
    await expect(dev.exited).resolves.toMatchObject({ exitCode: 0 });
  }
  expect(urls[1]).toBe(urls[0]);
});

test('the demo ends cleanly when its output is closed', async () => {
  const command = ['sh', '-c', '"$0" "$@" 2>/dev/null | head -3', process.execPath] as const;
  const bin = join(REPOSITORY, 'bin', 'pgwatch.js');
  const { stdout } = await runCli([bin, 'dev', '--demo'], { cwd: folder, command });
  expect(stdout.split('\n')).toHaveLength(4);
  expect(serverPid()).toBeUndefined();
});

/** The consumers import from 'pgwatch', which must be in node_modules. */
function copyExamples(): void {
  cpSync(join(REPOSITORY, 'consumers'), join(folder, 'consumers'), { recursive: true });
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPOSITORY, join(folder, 'node_modules', 'pgwatch'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
}

function firstId(stdout: string): number {
  return Number(/^ +(\d+) {2}/m.exec(stdout)?.[1]);
}

/** The pid of the running server: PostgreSQL removes the file when it stops. */
function serverPid(): number | undefined {
  const file = join(folder, '.pgwatch', 'data', 'postmaster.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : undefined;
}

/** Whether the process runs. A zombie, which has ended but was not reaped yet, does not. */
function isAlive(pid: number): boolean {
  const file = `/proc/${pid}/stat`;
  try {
    return process.kill(pid, 0) && !(existsSync(file) && / Z /.test(readFileSync(file, 'utf8')));
  } catch {
    return false;
  }
}
