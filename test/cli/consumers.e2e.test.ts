import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTailing } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';

const database = useDatabase();

beforeEach(() => addConsumers(database, ['email', 'webhook']));
afterEach(() => emptyLog(database));

async function consumers(...args: string[]) {
  const result = await runMain(['consumers', ...args], { env: { DATABASE_URL: database.url } });
  return { ...result, stderr: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '') };
}

const paused = async () =>
  (
    await database.query(
      'select consumer_id as id from pgwatch.consumer_progress where paused_at is not null',
    )
  ).rows.map(({ id }) => id);

test('list shows the consumers, in a table and as JSON', async () => {
  await database.query(
    `update pgwatch.consumer_progress set channels = channels || array['consumer:' || consumer_id]`,
  );
  await addDelivery(database, { consumerId: 'webhook' });
  const { stdout, stderr, exitCode } = await consumers('list');
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout.replaceAll(/ +/g, ' ').split('\n')).toEqual([
    'CONSUMER STATE OWNER LAG DEAD CHANNELS',
    'email not running - 1 0 orders',
    'webhook not running - 1 1 orders',
    '',
  ]);
  const json = JSON.parse((await consumers('list', '--json')).stdout);
  expect(json).toMatchObject([
    { consumerId: 'email', state: 'not running', unread: 1, isExact: true, owner: null },
    { consumerId: 'webhook', dead: 1, lastError: { name: 'Error' } },
  ]);
});

test('show prints everything about the named consumers, with the position', async () => {
  await addDelivery(database, { state: 'blocked', key: 'k' });
  const { stdout, exitCode } = await consumers('show', 'email');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^Consumer email\n {2}state +not running\n {2}channels +orders\n/);
  expect(stdout).toMatch(/\n {2}position +everything up to 0\n/);
  expect(stdout).toMatch(/\n {2}deliveries +0 retry, 1 blocked \(keys: 1\), 0 dead\n/);
  const json = JSON.parse((await consumers('show', 'email', 'webhook', '--json')).stdout);
  expect(json[1]).toMatchObject({ consumerId: 'webhook', position: { doneId: 0, window: null } });
});

test('pause and resume take several consumers, and can be repeated', async () => {
  const first = await consumers('pause', 'email', 'webhook', '--json');
  expect(JSON.parse(first.stdout)).toEqual([
    { consumerId: 'email', pausedAt: expect.any(String), pausedUntil: null },
    { consumerId: 'webhook', pausedAt: expect.any(String), pausedUntil: null },
  ]);
  expect(first.stderr).toContain(
    'email is paused until "pgwatch consumers resume email". ' +
      'Notifications published meanwhile wait for it.\n',
  );
  const again = await consumers('pause', 'email', '--until', '2h');
  expect(again.stderr).toMatch(/^email is paused until \d{4}-.*Z\. /);
  const { rows } = await database.query(
    `select extract(epoch from paused_until - now())::float8 as seconds
      from pgwatch.consumer_progress
     where consumer_id = 'email'`,
  );
  expect(rows[0].seconds).toBeGreaterThan(7100);
  expect(rows[0].seconds).toBeLessThan(7201);
  expect(await consumers('resume', 'email', 'email')).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: 'email is resumed.\n',
  });
  expect((await consumers('resume', 'email')).stderr).toBe('email was not paused.\n');
  expect(await paused()).toEqual(['webhook']);
});

test('an unknown name, or an invalid end, is wrong usage and pauses nothing', async () => {
  const unknown = await consumers('pause', 'webhook', 'emial');
  expect([unknown.exitCode, unknown.stderr]).toEqual([
    2,
    expect.stringContaining('no consumer "emial" in the database. Did you mean "email"?'),
  ]);
  const past = await consumers('pause', 'email', '--until', '2020-01-01');
  expect([past.exitCode, past.stderr]).toEqual([2, expect.stringContaining('has passed')]);
  const bare = await consumers('pause', 'email', '--until', '120');
  expect([bare.exitCode, bare.stderr]).toEqual([2, expect.stringContaining('a duration from now')]);
  expect(await paused()).toEqual([]);
});

test('remove shows what would be removed, needs a yes, and then removes it', async () => {
  await addDelivery(database, {});
  const plan = 'email, its position at 0 with 1 unread notification, 1 dead letter';
  const dry = await consumers('remove', 'email', '--dry-run', '--json');
  expect(dry.stderr).toBe(`Would remove ${plan}.\n`);
  expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true, removed: [{ dead: 1 }] });
  const unasked = await consumers('remove', 'email');
  expect([unasked.exitCode, unasked.stderr]).toEqual([
    2,
    `error This removes ${plan}. This is not a terminal, so it cannot ask: pass --yes to ` +
      `proceed.\n`,
  ]);
  expect(await consumers('remove', 'email', '--yes')).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: `Removed ${plan}.\n`,
  });
  const { rows } = await database.query('select consumer_id from pgwatch.consumer_progress');
  expect(rows).toEqual([{ consumer_id: 'webhook' }]);
});

test('remove names the daemon that runs a consumer, and then removes none', async () => {
  const daemon = await startTailing(database.config, [
    { id: 'email', channels: ['orders'], handle: () => {} },
  ]);
  const { exitCode, stderr } = await consumers('remove', 'webhook', 'email', '--yes');
  await daemon.stop();
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^error .+:\d+ runs email, or waits to run it, and would register it again/,
  );
  const { rowCount } = await database.query('select from pgwatch.consumer_progress');
  expect(rowCount).toBe(2);
});

test('rename keeps what a consumer has, and refuses if anything would be lost', async () => {
  await addDelivery(database, { consumerId: 'email' });
  const { stdout, exitCode } = await consumers('rename', 'email', 'mailer', '--json');
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ from: 'email', to: 'mailer', doneId: 0, dead: 1 });
  const taken = await consumers('rename', 'webhook', 'mailer');
  expect(taken.exitCode).toBe(1);
  expect(taken.stderr).toContain(
    'pgwatch consumers remove mailer && pgwatch consumers rename webhook mailer',
  );
  const daemon = await startTailing(database.config, [
    { id: 'webhook', channels: ['orders'], handle() {} },
  ]);
  const used = await consumers('rename', 'webhook', 'hook');
  expect(used.exitCode).toBe(1);
  expect(used.stderr).toMatch(
    /^error \S+:\d+ runs webhook, or waits to run it, and would start it again/,
  );
  await daemon.stop();
  const wrong = await consumers('rename', 'webhook', 'a b');
  expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('not "a b"') });
  expect(await consumers('rename', 'gone', 'hook')).toMatchObject({ exitCode: 2 });
  const done = await consumers('rename', 'webhook', 'hook');
  expect(done.stderr).toMatch(/^webhook is now hook\. It continues after id \d+\.\n$/);
});
