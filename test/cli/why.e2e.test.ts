import { beforeAll, expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';
import { createRole } from '../helpers/role.ts';

const database = useDatabase();
const EVIL = '\u001b]0;title\u0007\u009b31m\r';
let [dead, waiting, blocked]: number[] = [];

beforeAll(async () => {
  await addConsumers(database, ['email']);
  await database.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot,
      paused_at)
     values ('metrics', '{other}', 0, '1:1:', null), ('slow', '{orders}', 0, '1:1:', now())`,
  );
  dead = await addDelivery(database, { key: EVIL });
  waiting = await addDelivery(database, { key: 'order:2', state: 'retry', attempts: 2 });
  blocked = await addDelivery(database, { key: 'order:2', state: 'blocked' });
});

async function why(args: (string | number | undefined)[], url = database.url) {
  const result = await runMain(['why', ...args.map(String)], { env: { DATABASE_URL: url } });
  return { ...result, said: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '').trimEnd() };
}

test('why prints a block for each consumer: the reason, and what to do', async () => {
  const { stdout, exitCode, said } = await why([blocked]);
  expect([exitCode, said]).toEqual([1, '']);
  expect(stdout.split('\n')).toEqual([
    `Notification ${blocked}`,
    '  channel       orders',
    '  key           order:2',
    expect.stringMatching(/^ {2}created {7}20\d\d-/),
    '',
    'email: not arrived',
    expect.stringMatching(
      /^ {2}No daemon runs the consumer; its position was last saved .* ago\.$/,
    ),
    '    → pgwatch listen --consumers email',
    expect.stringMatching(
      `^  It waits for ${waiting}, an earlier notification with its key, which is retried in ` +
        '59 min \\(attempt 3\\): connect ECONNREFUSED',
    ),
    `    → pgwatch why ${waiting} --consumer email`,
    '',
    'slow: not arrived',
    expect.stringMatching(/^ {2}The consumer has been paused since 20.*, until it is resumed\.$/),
    '    → pgwatch consumers resume slow',
    '  It waits for 2 others to be delivered: the position is at 0.',
    '',
    'Not for: metrics (other channels)',
    '',
  ]);
});

test('--consumer explains only that consumer, even if it reads other channels', async () => {
  const one = await why([blocked, '--consumer', 'slow']);
  expect(one.stdout).toContain('slow: not arrived');
  expect(one.stdout).not.toContain('email');
  const other = await why([blocked, '--consumer', 'metrics']);
  expect(other.stdout).toContain(
    'metrics: not arrived\n  The consumer does not read this channel; it reads other.\n',
  );
});

test('as JSON each reason has its code; foreign text does not control the terminal', async () => {
  const { stdout, exitCode } = await why([dead, '--consumer', 'email', '--json']);
  expect(exitCode).toBe(1);
  expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
  expect(JSON.parse(stdout)).toMatchObject({
    id: dead,
    presence: 'present',
    channel: 'orders',
    key: EVIL,
    restored: null,
    consumers: [
      {
        consumerId: 'email',
        isArrived: false,
        reasons: [
          { code: 'dead', attempts: 5, advice: `pgwatch dlq retry ${dead} --consumer email` },
        ],
      },
    ],
  });
  const foreign = await why([dead, '--consumer', 'metrics']);
  expect([foreign.exitCode, foreign.stdout]).toEqual([
    1,
    expect.stringMatching(
      /metrics: not arrived\n {2}The consumer does not read this channel; it reads other\./,
    ),
  ]);
  expect((await why([dead])).stdout).not.toMatch(/[^\P{Cc}\n]/u);
});

test('a reader is told who holds uncommitted work, without anything it may not see', async () => {
  const { name, url } = await createRole(database, 'read');
  const config = {
    ...database.config,
    roles: { publish: [], consume: [], read: [name], capture: [] },
  };
  await withConnection(config, (client) => migrateUp(client, config));
  const writer = await database.connect();
  await writer.query(`set application_name = '${EVIL}'; begin`);
  const { rows } = await writer.query(`select smart_notify('orders')::int as id`);
  const { stdout, exitCode, said } = await why([rows[0].id], url);
  await writer.query('rollback');
  expect([exitCode, said]).toEqual([1, '']);
  expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
  expect(stdout).toMatch(
    /it was rolled back, or belongs to this open transaction, which has written/,
  );
  expect(stdout).toMatch(/ {4}pid \d+.* of \w+, open: not shown to this role/);
  expect(stdout).toMatch(/→ check what they are doing, and run this again once they have ended/);
  expect(stdout).not.toContain('pg_terminate_backend');
  expect((await why([rows[0].id, '--json'])).stdout).toContain('"presence":"rolled_back"');
});

test('for a table why explains why its changes do not arrive', async () => {
  await database.query('create table "Users" (id int primary key, name text)');
  const bare = await why(['--table', '"Users"']);
  expect([bare.exitCode, bare.stdout]).toEqual([
    1,
    'public.Users\n' +
      '  It is not captured: no trigger publishes its changes.\n' +
      '    → pgwatch trigger add public.Users\n',
  ]);
  await runMain(['trigger', 'add', '"Users"', '--operations', 'insert,update', '--notify', 'off'], {
    env: { DATABASE_URL: database.url },
  });
  const captured = await why(['--table', '"Users"']);
  expect([captured.exitCode, captured.stdout.split('\n').slice(1)]).toEqual([
    0,
    [
      '  Its changes are published on data_change. "pgwatch why ID" explains a single one.',
      '  Only some changes are captured: operations insert, update.',
      '  Its changes ring no doorbell (notify off): a daemon finds them at its next poll.',
      '',
    ],
  ]);
  await database.query(`alter table "Users" disable trigger user`);
  const disabled = await why(['--table', '"Users"', '--json']);
  expect(disabled.exitCode).toBe(1);
  expect(JSON.parse(disabled.stdout)).toMatchObject({
    table: 'public.Users',
    channel: 'data_change',
    reasons: [
      {
        code: 'disabled',
        isAll: true,
        advice: expect.stringMatching(/^alter table "public"."Users" enable trigger "00_pgwatch/),
      },
      { code: 'limited' },
      { code: 'unrung' },
    ],
  });
});

test.each([
  [[], 'Give either the id of a notification, or --table with the name of a table.'],
  [
    ['7', '--table', 'x'],
    'Give either the id of a notification, or --table with the name of a table.',
  ],
  [['x'], '"x" is not a notification id'],
  [['7,419'], '"7,419" is not a notification id'],
  [['0b0e0d6c-6f1d-8a3c-8d1e-0a9c3a1f7b55'], 'is an event id: "pgwatch show 0b0e0d6c'],
  [['7', '--consumer', 'emial'], 'Did you mean "email"?'],
])('%j is refused with a sentence', async (args, sentence) => {
  const { exitCode, said } = await why(args);
  expect(said).toContain(sentence);
  expect(exitCode).toBe(2);
});
