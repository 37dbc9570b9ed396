import { expect, test } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { makeProject, printingConsumer } from '../helpers/project.ts';
import { some } from '../helpers/whole.ts';

/*
A server without TLS. The name 127.1 stands for this machine but does not look like a loopback
address, so it serves as a remote host.
*/

const database = useIsolatedServer();

function elsewhere(query = ''): string {
  const url = new URL(database.url);
  url.hostname = '127.1';
  url.search = query;
  return url.href;
}

const project = () => makeProject({ 'consumers/ok.ts': printingConsumer('ok', ['orders']) });

test.each(some([['listen'], ['notify', 'orders'], ['migrate']]))(
  'a remote server without TLS stops %s %s',
  async (...args) => {
    const { exitCode, stderr } = await runMain(args, {
      cwd: project(),
      env: { DATABASE_URL: elsewhere() },
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      '": it does not offer TLS. Enable TLS on the server, or, if the network is trusted, ' +
        "set tls: 'off' or sslmode=disable.\n",
    );
  },
);

test.each(
  some([
    ['by the environment', '', 'off'],
    ['by the connection string', '?sslmode=disable', ''],
  ]),
)('a remote server is used if TLS is switched off %s', async (_, query, tls) => {
  const env = { DATABASE_URL: elsewhere(query), PGWATCH_TLS: tls };
  const cwd = project();
  const listen = startCli(['listen'], { cwd, env });
  await listen.waitFor('Running ok');
  expect(await runMain(['notify', 'orders', '"hello"'], { cwd, env })).toMatchObject({
    exitCode: 0,
    stderr: '',
  });
  await listen.waitFor('"hello"');
  listen.signal('SIGTERM');
  expect(await listen.exited).toMatchObject({ exitCode: 0 });
});

test.each(some([['listen'], ['notify', 'orders'], ['migrate']]))(
  '%s %s warns about no-verify once',
  async (...args) => {
    const env = { DATABASE_URL: elsewhere('?sslmode=no-verify') };
    const { stderr } = await runMain(args, { cwd: project(), env });
    expect(stderr.match(/warning The certificate of 127\.1:\d+ is NOT VERIFIED/g)).toHaveLength(1);
  },
);

test('an unknown TLS mode is refused', async () => {
  const env = { DATABASE_URL: elsewhere(), PGWATCH_TLS: 'yes' };
  const { stderr } = await runMain(['listen'], { cwd: project(), env });
  expect(stderr).toContain(`PGWATCH_TLS must be 'verify', 'no-verify' or 'off', not 'yes'.`);
});
