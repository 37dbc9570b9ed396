import { createServer } from 'node:net';
import { expect, inject, test } from 'vitest';
import { startEmbedded } from '../../src/embedded/server.ts';
import { startCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { makeProject, printingConsumer } from '../helpers/project.ts';
import { ROLE_PASSWORD as CANARY, createRole } from '../helpers/role.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase();
const project = () => makeProject({ 'consumers/ok.ts': printingConsumer('ok', ['orders']) });

/** The connection string of the server with other parts. */
function changedUrl(change: Partial<Record<'username' | 'password' | 'pathname', string>>): string {
  return Object.assign(new URL(inject('serverUrl')), change).href;
}

/** Runs a command that must fail, and checks what all failures have in common. */
async function failure(args: string[], url: string | undefined, cwd = project()) {
  const result = await runMain(args, { cwd, env: { DATABASE_URL: url } });
  expect(result.exitCode).toBe(args.includes('--database-url') ? 2 : 1);
  expect(result.stdout).toBe('');
  expect(result.stderr).not.toMatch(/\n\s+at /);
  expect(result.stderr).not.toContain(CANARY);
  return result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '');
}

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const COMMANDS = [['notify', 'orders'], ['migrate'], ['migrate', 'status']];

test.each(COMMANDS)('without a server, %s %s fails in one sentence', async (...args) => {
  const port = await freePort();
  const url = `postgres://me:${CANARY}@127.0.0.1:${port}/shop`;
  expect(await failure(args, url)).toBe(
    `error Cannot connect to 127.0.0.1:${port}, database "shop", user "me": no server is ` +
      `listening there. The connection string is in --database-url, DATABASE_URL or the ` +
      `config file.\n`,
  );
});

test('without a server, listen waits and says so, and works once there is one', async () => {
  const cwd = project();
  const options = { folder: `${cwd}/server`, port: await freePort(), settings: { fsync: 'off' } };
  const first = await startEmbedded(options);
  const env = { DATABASE_URL: first.url };
  expect((await runMain(['migrate'], { cwd, env })).exitCode).toBe(0);
  await first.stop();

  const listen = startCli(['listen', '--reconnect-delay', '0.05'], { cwd, env });
  await listen.waitFor(
    /warning Cannot connect to .*: no server is listening there\. .* Trying again in/,
  );
  const second = await startEmbedded(options);
  try {
    expect((await runMain(['notify', 'orders', '"hello"'], { cwd, env })).exitCode).toBe(0);
    await listen.waitFor('"hello"');
    listen.signal('SIGTERM');
    expect((await listen.exited).exitCode).toBe(0);
  } finally {
    await second.stop();
  }
});

test.each(some([['listen'], ...COMMANDS]))('a wrong password stops %s %s', async (...args) => {
  const stderr = await failure(args, changedUrl({ username: 'somebody', password: CANARY }));
  expect(stderr).toContain(': the password is wrong. The connection string is in');
});

test.each(some([['listen'], ...COMMANDS]))('an unknown database stops %s %s', async (...args) => {
  const stderr = await failure(args, changedUrl({ pathname: '/no_such_database' }));
  expect(stderr).toMatch(/database "no_such_database", user .*: there is no such database\. /);
});

test.each([
  ['no URL', `host=localhost password=${CANARY}`],
  ['another kind of URL', `mysql://me:${CANARY}@localhost/db`],
  ['a password with "#"', `postgres://me:x#${CANARY}@localhost/db`],
  ['a password with "/"', `postgres://me:12/${CANARY}@localhost/db`],
  ['a URL with an invalid port', `postgres://me:${CANARY}@localhost:99999/db`],
])('a connection string that is %s is refused before anything else', async (_, url) => {
  for (const args of [['listen'], ...COMMANDS]) {
    expect(await failure(args, url)).toBe(
      'error DATABASE_URL must be a URL like postgres://user:password@host:5432/database, ' +
        'with special characters in the password percent-encoded, like %23 for "#".\n',
    );
  }
});

test('a connection string is named by its source', async () => {
  const byFlag = await failure(['notify', 'orders', '--database-url', CANARY], undefined);
  expect(byFlag).toMatch(/^error --database-url must be a URL like/);
  const cwd = makeProject({ 'pgwatch.config.ts': `export default { url: '${CANARY}' };` });
  expect(await failure(['notify', 'orders'], undefined, cwd)).toMatch(
    /^error \S*pgwatch\.config\.ts: url must be a URL like/,
  );
});

test('without the schema every command says to migrate', async () => {
  const empty = changedUrl({ pathname: '/template1' });
  expect(await failure(['notify', 'orders'], empty)).toBe(
    'error The database has no function smart_notify. Run "pgwatch migrate".\n',
  );
  expect(await failure(['listen'], empty)).toContain(
    'error The database has no schema "pgwatch" of pgwatch yet. Run "pgwatch migrate".\n',
  );
  expect(await failure(['migrate', 'uninstall', '--yes'], empty)).toContain(
    'there is nothing to remove.',
  );
});

test('a schema of a newer version is refused', async () => {
  await database.query(`insert into pgwatch.migration values (9999, 'from_the_future', 'hash')`);
  const message =
    'error The database was migrated by a newer pgwatch (migration 9999 "from_the_future"). ' +
    'Update the pgwatch package.\n';
  for (const args of [['listen'], ['migrate'], ['migrate', 'uninstall', '--yes']]) {
    expect(await failure(args, database.url)).toContain(message);
  }
  await database.query('delete from pgwatch.migration where number = 9999');
});

test('a role without rights is told what it lacks', async () => {
  const { url } = await createRole(database, 'none');
  const refused =
    /^error .*: permission denied for (schema pgwatch|function smart_notify)\. Add .* to roles: /m;
  for (const args of [
    ['listen'],
    ['notify', 'orders'],
    ['migrate', 'status'],
    ['migrate', 'rebase'],
  ]) {
    expect(await failure(args, url)).toMatch(refused);
  }
  expect(await failure(['migrate'], url)).toMatch(/Run it as the database's owner/);
});

test('no password is printed, even with --verbose, as JSON, or within other text', async () => {
  const { url } = await createRole(database, 'reader');
  const cwd = project();
  const commands = [['listen'], ['notify', 'orders'], ['migrate', 'uninstall']];
  for (const flags of [['--verbose'], ['--verbose', '--log-format', 'json']]) {
    for (const wrong of [
      url,
      changedUrl({ username: 'somebody', password: CANARY }),
      `${url}#`,
      `${CANARY}${url}`,
    ]) {
      const runs = commands.map((args) =>
        runMain([...args, ...flags], { cwd, env: { DATABASE_URL: wrong } }),
      );
      for (const { exitCode, stdout, stderr } of await Promise.all(runs)) {
        expect(exitCode).not.toBe(0);
        expect(stdout + stderr).not.toContain(CANARY);
      }
    }
  }
});
