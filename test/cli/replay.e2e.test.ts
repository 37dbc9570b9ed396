import { beforeEach, expect, test } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { startTailing } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
let ids: number[] = [];

/** Six are done, with two keys; a seventh is not. */
beforeEach(async () => {
  await emptyLog(database);
  await addConsumers(database, ['email']);
  ids = [];
  for (let n = 1; n <= 7; n++) {
    ids.push(await publish(database, n, { channel: 'orders', key: `order:${n % 2}` }));
  }
  await database.query(
    `update pgwatch.consumer_progress set done_id = $1, done_snapshot = pg_current_snapshot()`,
    [ids[5]],
  );
});

async function replay(...args: (string | number | undefined)[]) {
  const result = await runMain(['replay', ...args.map(String)], {
    env: { DATABASE_URL: database.url },
  });
  return { ...result, said: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '').trimEnd() };
}

const tail = (handle: (about: { payload: unknown; isReplay: boolean }) => void) =>
  startTailing(database.config, [
    { id: 'email', channels: ['orders'], retry: { attempts: 1 }, handle },
  ]);

test('a dry run counts, shows the first ones, and files nothing', async () => {
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state)
     values ('email', $1, 'dead'), ('email', $2, 'retry')`,
    [ids[2], ids[3]],
  );
  const { stdout, said, exitCode } = await replay('email', '--since', '1h', '--dry-run');
  expect([exitCode, said]).toEqual([0, 'Nothing was changed: this was a dry run.']);
  expect(stdout.split('\n')).toEqual([
    'email',
    `  again         4 notifications, ${ids[0]} to ${ids[5]}, of 2 keys`,
    '  left alone    1 dead letter (see "pgwatch dlq retry"), 1 that wait for a retry',
    '  pending       1 not handled yet arrive anyway',
    '  speed         as fast as possible',
    '  effects       the handler runs again for each, side effects included',
    '  order         new notifications with these keys wait',
    expect.stringMatching(/^ID +CREATED +CHANNEL +KEY$/),
    ...[0, 1, 4, 5].map((n) =>
      expect.stringMatching(`^${ids[n]} +20\\S+Z +orders +order:${(n + 1) % 2}$`),
    ),
    '',
  ]);
  const json = await replay('email', '--key', 'order:0', '--until', '1h', '--dry-run', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ consumerId: 'email', matching: 0, filed: 0 });
});

test('replay watches until all are handled, and fails if one became a dead letter', async () => {
  const seen: [unknown, boolean][] = [];
  const daemon = await tail(({ payload, isReplay }) => {
    seen.push([payload, isReplay]);
    if (payload === 4) throw new Error('no');
  });
  // What is done but not saved comes again without being part of the replay.
  await until('the last is settled', async () => {
    const { rows } = await database.query(
      'select done_id::float8 as id from pgwatch.consumer_progress',
    );
    return rows[0].id === ids[6];
  });
  const first = await replay('email', '--id', `${ids[0]},${ids[2]}`);
  expect([first.exitCode, first.said.replace(/in [\d.]+ m?s/, 'in a moment')]).toEqual([
    0,
    'Replayed 2 notifications to email in a moment.',
  ]);
  expect(seen.slice(-2)).toEqual([
    [1, true],
    [3, true],
  ]);
  const second = await replay('email', '--key', 'order:0', '--json');
  await daemon.stop();
  expect(second.exitCode).toBe(1);
  expect(JSON.parse(second.stdout)).toMatchObject({
    filed: 3,
    dead: 0,
    outcome: { isFinished: true, dead: 1 },
  });
  expect(second.said).toContain(
    'warning One of them is a dead letter: "pgwatch dlq list --consumer email".',
  );
});

test('without a daemon replay says so; Ctrl-C leaves the replay, --cancel cancels it', async () => {
  const watching = startCli(['replay', 'email', '--since', '1h', '--speed', '1x'], {
    env: { DATABASE_URL: database.url },
  });
  await watching.waitFor('No daemon runs email: the replay waits for one');
  watching.signal('SIGINT');
  const { exitCode, stderr } = await watching.exited;
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/SIGINT: no longer watching; the replay continues\./);
  expect(stderr).toMatch(
    /6 of 6 notifications are still pending\. To cancel them: "pgwatch replay email --cancel"/,
  );
  const list = await runMain(['dlq', 'list', '--state', 'all'], {
    env: { DATABASE_URL: database.url },
  });
  expect(list.stdout).toMatch(/ email +orders +order:\d +replay (now|in \S+ m?s) +0 +- +-\n/);
  expect(list.stdout).not.toContain('retry');
  expect((await replay('email', '--cancel')).said).toBe(
    'Cancelled the replay of 6 notifications to email.',
  );
  expect((await replay('email', '--cancel', '--json')).stdout).toBe(
    '{"consumerId":"email","cancelled":0}\n',
  );
  expect((await replay('email', '--id', ids[0], '--no-wait')).said).toMatch(
    /^Filed 1 notification: /,
  );
});

test('replay explains why there is nothing to replay, and what holds a replay back', async () => {
  const unknown = await replay('email', '--id', 999998, 999999);
  expect([unknown.exitCode, unknown.said]).toEqual([
    1,
    'The log does not contain 999998, 999999: "pgwatch why 999998" explains.\n' +
      'There is nothing to replay.',
  ]);
  const { rows } = await database.query(`select smart_notify('other')::float8 as id`);
  const foreign = await replay('email', '--id', rows[0].id, '--json');
  expect([foreign.exitCode, JSON.parse(foreign.stdout).messages]).toEqual([
    0,
    [`On another channel: ${rows[0].id}; email reads orders.`],
  ]);
  const elsewhere = await replay('email', '--channel', 'other', '--key', 'x');
  expect(elsewhere.said).toContain('It does not read the channel other: email reads orders.');
  expect((await replay('email', '--key', 'x')).said).toContain('has the key x');
  expect((await replay('email', '--id', ids[6])).said).toContain('is not handled yet');
  await database.query('update pgwatch.consumer_progress set paused_at = now()');
  const watching = startCli(['replay', 'email', '--id', `${ids[0]}`, '999999'], {
    env: { DATABASE_URL: database.url },
  });
  await watching.waitFor('email is paused: the replay waits');
  watching.signal('SIGINT');
  const { exitCode, stderr } = await watching.exited;
  expect([exitCode, stderr]).toEqual([
    0,
    expect.stringContaining('The log does not contain 999999'),
  ]);
  const why = await runMain(['why', `${ids[0]}`], { env: { DATABASE_URL: database.url } });
  expect(why.stdout).toContain('A replay of it is pending: it is delivered as soon as possible.');
});

test.each([
  [['email'], 'Choose what to replay'],
  [['email', '--speed', 'fast', '--since', '1h'], 'Give a multiple like 1x or 10x, or max.'],
  [['email', '--since', '1h', '--until', '2h'], '--until must be later than --since'],
  [['email', '--cancel', '--since', '1h'], '--cancel cancels the whole replay'],
  [['emial', '--since', '1h'], 'Did you mean "email"?'],
])('%j is refused with a sentence', async (args, sentence) => {
  const { exitCode, said } = await replay(...args);
  expect(said).toContain(sentence);
  expect(exitCode).toBe(2);
});
