import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runCli, startCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { makeProject } from '../helpers/project.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase();

const BIN = fileURLToPath(new URL('../../bin/pgwatch.js', import.meta.url));
const REST = "export default { channels: ['x'], handle() {} };";

/** What keeps a Node.js process alive. */
const HANDLES = {
  'consumers/server.mjs': `import { createServer } from 'node:http';
    createServer().listen(0);\n${REST}`,
  'consumers/child.mjs': `import { spawn } from 'node:child_process';
    spawn('sleep', ['600']);\n${REST}`,
  'consumers/thread.mjs': `import { Worker } from 'node:worker_threads';
    new Worker('setInterval(() => {}, 1000)', { eval: true });\n${REST}`,
  'consumers/connection.mjs': `import net from 'node:net';
    const server = net.createServer().listen(0,
      () => net.connect(server.address().port));\n${REST}`,
};

test('handles left open by consumer files keep no command alive', async () => {
  const cwd = makeProject(HANDLES);
  const env = { DATABASE_URL: database.url };
  const commands = [['listen', '--once'], ['listen', '--list-consumers', '--json'], ['doctor']];
  const results = await Promise.all(commands.map((args) => runCli(args, { cwd, env })));
  expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, expect.any(Number)]);
  expect(JSON.parse(results[1]?.stdout ?? '')).toHaveLength(4);
  expect(results[2]?.stdout).toContain('consumer');
  const daemon = startCli(['listen'], { cwd, env });
  await daemon.waitFor('Running');
  daemon.signal('SIGTERM');
  expect(await daemon.exited).toMatchObject({ exitCode: 0 });
});

test('a timer in the config file keeps no command alive', async () => {
  const cwd = makeProject({
    'pgwatch.config.mjs': 'setInterval(() => {}, 1000); export default {};',
  });
  const env = { DATABASE_URL: database.url };
  const commands = [['status'], ['trigger', 'list']];
  const results = await Promise.all(commands.map((args) => runCli(args, { cwd, env })));
  expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
});

test('a slow reader gets all of the output', async () => {
  const payload = JSON.stringify({ text: 'x'.repeat(3_000_000) });
  const { rows } = await database.query("select smart_notify('large', $1) as id", [payload]);
  const script = '"$0" "$@" | (sleep 1; wc -c)';
  const { stdout } = await runCli(['show', String(rows[0].id), '--json'], {
    env: { DATABASE_URL: database.url },
    command: ['sh', '-c', script, process.execPath, 'bin/pgwatch.js'],
    cwd: process.cwd(),
  });
  expect(Number(stdout)).toBeGreaterThan(3_000_000);
});

const EXITS: [what: string, code: string, where: string][] = [
  ['with 0', 'process.exit(0);', 'a.mjs:1 called process.exit()'],
  ['in a module it imports', "import './_lib.mjs';", '_lib.mjs:2 called process.exit()'],
  ['with 7', 'process.exit(7);', 'a.mjs:1 called process.exit(7)'],
];

test.each(some(EXITS))(
  'a file that exits %s is named, and the exit code is not 0',
  async (_, code, where) => {
    const cwd = makeProject({
      'consumers/a.mjs': `${code}\n${REST}`,
      'consumers/_lib.mjs': '\nprocess.exit();',
    });
    const env = { DATABASE_URL: database.url };
    const commands = [['listen'], ['doctor', '--log-format', 'json']];
    const results = await Promise.all(commands.map((args) => runCli(args, { cwd, env })));
    for (const { exitCode, stderr } of results) {
      expect(exitCode).toBe(code.includes('7') ? 7 : 1);
      expect(stderr).toContain(`consumers/${where} while consumers/a.mjs was loaded.`);
    }
  },
);

test('a file that exits later, by a timer or a signal, is named', async () => {
  const files = {
    'timer/a.mjs': `setTimeout(() => process.exit(0), 300);\n${REST}`,
    'signal/a.mjs': `process.on('SIGTERM', () => process.exit(0));\n${REST}`,
  };
  const cwd = makeProject(files);
  const env = { DATABASE_URL: database.url };
  const said = (name: string) => `${name}/a.mjs:1 called process.exit() while pgwatch was running`;
  const first = await runCli(['listen'], { cwd, env: { ...env, PGWATCH_CONSUMERS: 'timer' } });
  expect(first).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(said('timer')) });
  const second = startCli(['listen'], { cwd, env: { ...env, PGWATCH_CONSUMERS: 'signal' } });
  await second.waitFor('Running a');
  second.signal('SIGTERM');
  const ended = await second.exited;
  expect(ended).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(said('signal')) });
});

test('a handler that ends the process is named with its notification', async () => {
  const define = (id: string, code: string) =>
    `export default { channels: ['${id}'], async handle() { await null; ${code} } };`;
  const cwd = makeProject({
    'exits/exits.mjs': define('exits', 'process.exit(0);'),
    'rejects/rejects.mjs': define(
      'rejects',
      "setTimeout(() => Promise.reject(new Error('lost')), 50);",
    ),
    'throws/throws.mjs': define('throws', "setTimeout(() => { throw new Error('wild'); }, 50);"),
  });
  const { rows } = await database.query(
    `select smart_notify(channel)::int as id
      from unnest('{exits,rejects,throws}'::text[]) as channel`,
  );
  const listen = (name: string) =>
    runCli(['listen'], { cwd, env: { DATABASE_URL: database.url, PGWATCH_CONSUMERS: name } });
  const results = await Promise.all(['exits', 'rejects', 'throws'].map(listen));
  expect(results.map(({ exitCode }) => exitCode)).toEqual([1, 1, 1]);
  const call = (index: number, name: string) => `call of ${name} (notification ${rows[index]?.id})`;
  expect(results[0]?.stderr).toContain(`was running, in a ${call(0, 'exits')}.`);
  expect(results[1]?.stderr).toContain(`A ${call(1, 'rejects')} left a promise that rejects`);
  expect(results[2]?.stderr).toContain(`A ${call(2, 'throws')} threw an error. It is not caught`);
});

test('a config file that exits is named', async () => {
  const cwd = makeProject({ 'pgwatch.config.mjs': 'process.exit(0);' });
  const { exitCode, stderr } = await runCli(['status'], { cwd });
  expect(exitCode).toBe(1);
  expect(stderr).toContain('pgwatch.config.mjs:1 called process.exit()');
});

test('a file that never finishes loading is named after ten seconds', async () => {
  const env = { DATABASE_URL: database.url };
  const listen = (code: string) =>
    runCli(['listen'], { cwd: makeProject({ 'consumers/b.mjs': `${code}\n${REST}` }), env });
  const [waiting, nested, blocking, config, doctor] = await Promise.all([
    listen('await new Promise(() => {});'),
    listen("await import('data:text/javascript,await new Promise(() => {})');"),
    listen('for (;;) {}'),
    runCli(['status'], {
      cwd: makeProject({ 'pgwatch.config.mjs': 'await new Promise(() => {});' }),
      env,
    }),
    runCli(['doctor'], {
      cwd: makeProject({ 'consumers/b.mjs': `await new Promise(() => {});\n${REST}` }),
      env,
    }),
  ]);
  const said = expect.stringContaining('consumers/b.mjs: it has not finished loading');
  expect(waiting).toMatchObject({ exitCode: 1, stderr: said });
  expect(nested).toMatchObject({ exitCode: 1, stderr: said });
  expect(doctor.exitCode).toBe(1);
  expect(doctor.stdout.replaceAll(/\s+/g, ' ')).toMatch(/b\.mjs: it has not finished loading/);
  expect(config).toMatchObject({ exitCode: 1 });
  expect(config.stderr).toContain('pgwatch.config.mjs: it has not finished loading');
  // Only a signal ends a process that is blocked.
  expect(blocking).toMatchObject({ exitCode: null, stderr: said });
});

test('a daemon stops when the npm that started it has ended', async () => {
  const cwd = makeProject({ 'consumers/a.mjs': REST });
  const command = ['sh', '-c', '"$0" "$@" & wait', process.execPath, BIN] as const;
  const env = { DATABASE_URL: database.url, npm_config_user_agent: 'npm/11' };
  const daemon = startCli(['listen'], { cwd, env, command });
  await daemon.waitFor('following the tail');
  // The daemon also holds the pipes until it ends.
  daemon.signal('SIGKILL');
  const { stderr } = await daemon.exited;
  expect(stderr).toContain('The process that started this one has ended: waiting');
  expect(stderr).toContain('Stopped.');
});

test.skipIf(!existsSync('/dev/full'))(
  'output that does not fit on the disk is a failure',
  async () => {
    const command = ['sh', '-c', '"$@" > /dev/full', 'sh', process.execPath, BIN] as const;
    const { exitCode, stderr } = await runCli(['completion', 'bash'], { command: [...command] });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^error The output could not be written: .*ENOSPC.*\n$/);
  },
);
