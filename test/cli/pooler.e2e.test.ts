import { describe, expect, onTestFinished, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { findPgBouncer, startPgBouncer } from '../helpers/pgbouncer.ts';
import { makeProject } from '../helpers/project.ts';

const program = findPgBouncer() ?? '';
if (!program) {
  console.warn('SKIPPED: commands behind a pooler need PgBouncer ("apt-get install pgbouncer").');
}

describe.skipIf(!program)('behind a transaction pooler', () => {
  const database = useDatabase();

  async function startPooler(): Promise<string> {
    const settings = { pool_mode: 'transaction', default_pool_size: 3 };
    const { url, stop } = await startPgBouncer(program, database.url, settings);
    onTestFinished(stop);
    return url;
  }

  test.each([
    ['migrate', 'up'],
    ['migrate', 'status'],
    ['migrate', 'rebase'],
  ])('%s %s asks for a direct connection, and uses it', async (...args) => {
    const url = await startPooler();
    const refused = await runMain(args, { env: { DATABASE_URL: url } });
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain(
      `error 127.0.0.1:${new URL(url).port} is a pooler that lends a connection for one ` +
        'transaction only, but this needs a session of its own. ' +
        'Set directUrl to a connection that bypasses the pooler.\n',
    );
    const env = { DATABASE_URL: url, PGWATCH_DIRECT_URL: database.url };
    expect((await runMain(args, { env })).exitCode).toBe(0);
  });

  test('notify publishes', async () => {
    const env = { DATABASE_URL: await startPooler() };
    const input = '1\n2\n3\n';
    const result = await runMain(['notify', 'orders', '-'], { cwd: makeProject({}), env, input });
    expect(result).toMatchObject({
      exitCode: 0,
      stderr: '',
      stdout: expect.stringMatching(/^(\d+\n){3}$/),
    });
  });
});
