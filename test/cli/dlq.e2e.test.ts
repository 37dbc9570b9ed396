import { beforeAll, beforeEach, expect, test } from 'vitest';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';

const database = useDatabase();
/** Of email: dead, waiting for a retry, blocked; of webhook: dead. */
let ids: [dead: number, waiting: number, blocked: number, webhook: number];

beforeAll(() => addConsumers(database, ['email', 'webhook']));

beforeEach(async () => {
  await database.query('truncate pgwatch.delivery');
  ids = [
    await addDelivery(database, { key: 'order:1', payload: { total: 9 }, failedAgoMs: 7_200_000 }),
    await addDelivery(database, { key: 'order:2', state: 'retry', attempts: 2 }),
    await addDelivery(database, { key: 'order:2', state: 'blocked' }),
    await addDelivery(database, { consumerId: 'webhook', channel: 'users' }),
  ];
});

/** Bold, dim and red, and the codes that end them. */
const OUR_COLORS = [1, 2, 22, 31, 39].map((code) => `\u001b[${code}m`);

async function dlq(args: readonly (string | number)[], env: Record<string, string> = {}) {
  const result = await runMain(['dlq', ...args.map(String)], {
    env: { DATABASE_URL: database.url, ...env },
  });
  return { ...result, stderr: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '') };
}

async function states(): Promise<string[]> {
  const { rows } = await database.query(
    'select state from pgwatch.delivery order by notification_id',
  );
  return rows.map((row) => row.state);
}

test('list shows dead letters in a table, without their payloads', async () => {
  const { stdout, stderr, exitCode } = await dlq(['list']);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout.replaceAll(/ +/g, ' ').split('\n')).toEqual([
    'ID CONSUMER CHANNEL KEY ATTEMPTS FAILED ERROR',
    `${ids[3]} webhook users - 5 1 min ago connect ECONNREFUSED 127.0.0.1:25`,
    `${ids[0]} email orders order:1 5 2 h ago connect ECONNREFUSED 127.0.0.1:25`,
    '',
  ]);
  const all = await dlq(['list', '--state', 'all', '--consumer', 'email', '--limit', '2']);
  expect(all.stdout).toMatch(
    /STATE.*\n\d+ +email +orders +order:2 +retry in 59 min +2 .*\n\d+ .* dead /,
  );
  expect(all.stderr).toBe('Showing the newest 2 of 3 notifications; --limit shows more.\n');
  expect(await dlq(['list', '--key', 'order:9'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: 'There are no such dead letters.\n',
  });
});

test('list --json is one array of complete objects', async () => {
  const { stdout, exitCode } = await dlq(['list', '--json', '--older-than', '90m']);
  expect(exitCode).toBe(0);
  const error = {
    name: 'Error',
    message: 'connect ECONNREFUSED 127.0.0.1:25',
    code: 'ECONNREFUSED',
    stack: expect.stringContaining('at send'),
  };
  expect(JSON.parse(stdout)).toEqual([
    {
      consumerId: 'email',
      id: ids[0],
      channel: 'orders',
      key: 'order:1',
      state: 'dead',
      attempts: 5,
      nextAttemptAt: null,
      calledAttempt: null,
      replayedAt: null,
      firstFailedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      lastFailedAt: expect.stringMatching(/Z$/),
      firstError: error,
      lastError: error,
    },
  ]);
  expect((await dlq(['list', '--json', '--channel', 'none'])).stdout).toBe('[]\n');
});

test('show prints the notification once, and its failures at every consumer', async () => {
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, attempts, first_failed_at,
       last_failed_at, first_error, last_error, notification)
     select 'webhook', notification_id, state, 1, last_failed_at, last_failed_at, last_error,
       last_error, notification
     from pgwatch.delivery where notification_id = $1`,
    [ids[0]],
  );
  const { stdout, exitCode } = await dlq(['show', ids[0]]);
  expect(exitCode).toBe(0);
  const failed = /20\d\d-\S+Z, 2 h ago/;
  expect(stdout.split('\n')).toEqual([
    `Notification ${ids[0]}`,
    '  channel       orders',
    '  key           order:1',
    expect.stringMatching(/^ {2}event id {6}[\da-f-]{36}$/),
    expect.stringMatching(/^ {2}created {7}20\d\d-.*Z, .* ago$/),
    '  payload',
    '    {',
    '      "total": 9',
    '    }',
    '',
    'email: dead, after 5 attempts',
    expect.stringMatching(failed),
    expect.stringMatching(failed),
    '    connect ECONNREFUSED 127.0.0.1:25 (ECONNREFUSED)',
    '        at send (email.ts:7:11)',
    '',
    'webhook: dead, after 1 attempt',
    expect.stringMatching(/^ {2}failed {8}20/),
    '    connect ECONNREFUSED 127.0.0.1:25 (ECONNREFUSED)',
    '        at send (email.ts:7:11)',
    '',
  ]);
  const json = await dlq(['show', ids[0], '--consumer', 'email', '--json']);
  expect(JSON.parse(json.stdout)).toEqual([
    expect.objectContaining({
      consumerId: 'email',
      id: ids[0],
      state: 'dead',
      lastError: expect.objectContaining({ code: 'ECONNREFUSED' }),
      notification: {
        id: ids[0],
        eventId: expect.stringMatching(/^[\da-f-]{36}$/),
        channel: 'orders',
        key: 'order:1',
        createdAt: expect.stringMatching(/Z$/),
        payload: { total: 9 },
      },
    }),
  ]);
  expect((await dlq(['show', ids[2]])).stdout).toMatch(
    /\nemail: blocked by an earlier notification with the same key\n {2}failed +never\n$/,
  );
});

test('retry reports what it did, and a second time that there is nothing to do', async () => {
  const first = await dlq(['retry', '--consumer', 'email', '--error', 'econnrefused']);
  expect(first).toEqual({ exitCode: 0, stdout: '', stderr: 'Retrying 1 dead letter: email 1.\n' });
  expect(await states()).toEqual(['retry', 'retry', 'blocked', 'dead']);
  const second = await dlq(['retry', '--consumer', 'email', '--error', 'econnrefused']);
  expect(second).toEqual({ exitCode: 0, stdout: '', stderr: 'There is nothing to retry.\n' });
  const named = await dlq(['retry', ids[1], ids[2], `${ids[3]},${ids[3]}`]);
  expect(named.stderr).toBe(
    'Retrying 2 notifications: email 1, webhook 1.\n' +
      `Left alone because they are not dead: ${ids[2]} of email (blocked).\n`,
  );
});

test('discard deletes dead letters, and reports an unknown id', async () => {
  const { exitCode, stdout, stderr } = await dlq(['discard', ids[0], ids[1], 999_999, '--json']);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    dryRun: false,
    discarded: [{ consumerId: 'email', id: ids[0], key: 'order:1', state: 'dead' }],
    left: [{ consumerId: 'email', id: ids[1], key: 'order:2', state: 'retry' }],
    unknown: [999_999],
  });
  expect(stderr).toBe(
    'error There is no such dead letter: 999999. It has been handled since, ' +
      'was discarded, or never failed.\n',
  );
  expect(await states()).toEqual(['retry', 'blocked', 'dead']);
  expect((await dlq(['discard', '--all'])).stderr).toBe('Discarded 1 dead letter: webhook 1.\n');
  expect(await states()).toEqual(['retry', 'blocked']);
});

test.each(['retry', 'discard'])('%s --dry-run prints what would happen', async (action) => {
  const { exitCode, stdout, stderr } = await dlq([action, ...ids.slice(2), '--dry-run']);
  expect([exitCode, stderr]).toEqual([
    0,
    `Would ${action} 1 dead letter: webhook 1.\n` +
      `Left alone because they are not dead: ${ids[2]} of email (blocked).\n`,
  ]);
  expect(stdout.replaceAll(/ +/g, ' ').split('\n')).toEqual([
    'ID CONSUMER STATE OUTCOME KEY',
    `${ids[3]} webhook dead ${action} -`,
    `${ids[2]} email blocked left alone order:2`,
    '',
  ]);
  const json = JSON.parse((await dlq([action, '--all', '--dry-run', '--json'])).stdout);
  expect(json).toMatchObject({ dryRun: true, left: [], unknown: [] });
  expect(json[action === 'retry' ? 'retried' : 'discarded']).toHaveLength(2);
  expect(await states()).toEqual(['dead', 'retry', 'blocked', 'dead']);
});

test('no foreign text controls a terminal, even with colours forced', async () => {
  const evil = '\u001b]0;title\u0007\u001b[2J\u009b31m\u007f\r';
  const stack = `${evil}\n    at ${evil}`;
  const id = await addDelivery(database, {
    key: evil,
    channel: evil,
    payload: { [evil]: evil },
    error: { name: evil, message: `${evil}\nemail: dead`, code: evil, stack },
  });
  for (const args of [['list'], ['show', id], ['retry', id, '--dry-run']]) {
    for (const format of [[], ['--json']]) {
      const { stdout, stderr } = await dlq([...args, ...format], { FORCE_COLOR: '1' });
      const foreign = OUR_COLORS.reduce((text, code) => text.replaceAll(code, ''), stdout + stderr);
      expect(foreign).not.toMatch(/[^\P{Cc}\n]/u);
    }
  }
  const json = JSON.parse((await dlq(['show', id, '--json'])).stdout);
  expect(json[0].notification).toMatchObject({ key: evil, payload: { [evil]: evil } });
  const plain = await dlq(['show', id], { FORCE_COLOR: '1', NO_COLOR: '1' });
  expect(plain.stdout).not.toContain('\u001b');
  expect(plain.stdout).not.toMatch(/^email: dead$/m);
});

test.each<[(string | number)[], string]>([
  [
    ['retry'],
    'Choose the dead letters to retry: give ids, a filter like --consumer or --error, or --all.',
  ],
  [
    ['discard'],
    'Choose the dead letters to discard: give ids, a filter like --consumer or --error, or --all.',
  ],
  [['discard', 7, '--all'], 'Give either ids or --all, not both.'],
  [['retry', ''], '"" is not a notification id: give a whole number from 1'],
  [['discard', '', '--key', 'order:1'], '"" is not a notification id: give a whole number'],
  [['discard', '7,419'], '"7,419" may be one id or several'],
  [['show', '1e3'], '"1e3" is not a notification id: give a whole number'],
  [['retry', 7, '99999999999999999999'], '"99999999999999999999" is not a notification id'],
  [
    ['discard', '--consumer', ''],
    '--consumer is empty: give the id of a consumer, or leave it out.',
  ],
  [['discard', '--error', ''], '--error is empty: give a part of the error, or leave it out.'],
  [
    ['list', '--consumer', 'emial'],
    'There is no consumer "emial" in the database. Did you mean "email"? It has: email, webhook.',
  ],
  [['show', 7, '--consumer', 'nobody'], 'There is no consumer "nobody" in the database.'],
  [['list', '--limit', '0'], 'Give a whole number from 1 to 10000.'],
  [['list', '--older-than', '7'], 'Give a duration with its unit, like 30m, 2h or 7d.'],
  [['discard', '--newer-than', 'soon'], 'Give a duration with its unit, like 30m, 2h or 7d.'],
  [['list', '--state', 'gone'], "argument 'gone' is invalid"],
])('%j is refused with a helpful message', async (args, message) => {
  const { exitCode, stdout, stderr } = await dlq(args);
  expect(stderr).toContain(message);
  expect([exitCode, stdout]).toEqual([2, '']);
  expect(await states()).toEqual(['dead', 'retry', 'blocked', 'dead']);
});

test('an unknown id, and a database without our tables, are errors', async () => {
  expect(await dlq(['show', 999_999])).toEqual({
    exitCode: 1,
    stdout: '',
    stderr:
      'error Notification 999999 is neither a dead letter nor waiting for a retry: see ' +
      '"pgwatch dlq list --state all".\n',
  });
  const { url } = await createEmptyDatabase();
  const empty = await dlq(['list'], { DATABASE_URL: url });
  expect(empty).toMatchObject({ exitCode: 1, stdout: '' });
  expect(empty.stderr).toMatch(/no schema "pgwatch" of pgwatch yet\. Run "pgwatch migrate"\.\n$/);
});
