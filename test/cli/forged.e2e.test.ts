import { expect, test } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { makeProject, printingConsumer } from '../helpers/project.ts';
import { createRole } from '../helpers/role.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

test('10,000 forged NOTIFYs of another role deliver nothing and stop nothing', async () => {
  const cwd = makeProject({ 'consumers/ok.ts': printingConsumer('ok', ['orders']) });
  const listen = startCli(['listen', '--timeout', '600'], {
    cwd,
    env: { DATABASE_URL: database.url },
  });
  await database.query(`select smart_notify('orders', '"first"')`);
  await listen.waitFor('"first"');

  const forgerRole = await createRole(database, 'forger');
  const forger = await database.connect();
  await forger.query(`set session authorization "${forgerRole.name}"`);
  for (const channel of ['orders', 'pgwatch']) {
    for (const payload of [
      `'{"notification_log_id": 999, "data": "forged"}'`,
      `'{"notification_log_id": 1, "large_payload": true}'`,
      `'orders'`,
      `repeat(chr(27) || 'x', 3000)`,
      `''`,
    ]) {
      // One transaction for each: PostgreSQL sends equal notifications of a transaction only once.
      await forger.query(
        `do $$ begin
           for n in 1..1000 loop perform pg_notify('${channel}', ${payload} || n); commit; end loop;
         end $$`,
      );
    }
  }
  await forger.end();

  await database.query(`select smart_notify('orders', '"last"')`);
  await listen.waitFor('"last"');
  await until('the position is saved', async () => {
    const { rows } = await database.query(
      `select done_id::int, (select max(id)::int from pgwatch.notification_log) as last_id
       from pgwatch.consumer_progress`,
    );
    return rows[0].done_id === rows[0].last_id || JSON.stringify(rows[0]);
  });
  listen.signal('SIGTERM');
  const { exitCode, stdout, stderr } = await listen.exited;
  expect(stdout).toBe('"first"\n"last"\n');
  expect(stderr).not.toMatch(/warning|error/);
  expect(exitCode).toBe(0);
});
