import { beforeAll, expect, test } from 'vitest';
import { captureTable } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';

const database = useDatabase();
const EVIL = '\u001b[2J\u009b31m\r\n  forged';
let ids: number[] = [];

beforeAll(async () => {
  await captureTable(database, 'users', 'id int primary key, name text, prefs jsonb, secret text', {
    exclude: ['secret'],
  });
  await database.query(`
    set app.user_id = 'ada'; insert into users values (1, 'Ada', '{"a": 1, "theme": "dark"}', 's');
    set app.user_id = ${literal(EVIL)};
    update users set name = ${literal(EVIL)}, prefs = '{"a": 1, "theme": "light"}';
    reset app.user_id; delete from users`);
  const { rows } = await database.query('select id::float8 from pgwatch.notification order by id');
  ids = rows.map(({ id }) => id);
});

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

async function history(...args: (string | number)[]) {
  const result = await runMain(['history', ...args.map(String)], {
    env: { DATABASE_URL: database.url },
  });
  expect(result.stdout).not.toMatch(/[^\P{Cc}\n]|^ {0,3}forged/mu);
  return { ...result, stderr: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '') };
}

const OMITTED = 'Not in the log: the columns secret.\n';

test('history shows who made each version, and what changed', async () => {
  const { stdout, stderr, exitCode } = await history('users', 1);
  expect([exitCode, stderr]).toEqual([0, OMITTED]);
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(`^${ids[0]}  INSERT  20\\S+Z  by ada, transaction \\d+$`),
    '    id     1',
    '    name   "Ada"',
    '    prefs  {"a":1,"theme":"dark"}',
    expect.stringMatching(`^${ids[1]}  UPDATE  20\\S+Z  by \\\\u001b.* forged, transaction \\d+$`),
    '    name   "Ada" → "\\u001b[2J\\u009b31m\\r\\n  forged"',
    '    prefs  {"a":1,"theme":"dark"} → {"a":1,"theme":"light"}',
    expect.stringMatching(`^${ids[2]}  DELETE  20\\S+Z  transaction \\d+$`),
    '',
  ]);
});

test('a change of the key shows under both keys', async () => {
  await database.query(
    `insert into users values (10, 'Grace'); update users set id = 11 where id = 10`,
  );
  expect((await history('users', 10)).stdout).toMatch(
    /DELETE.*\n {4}\(its key became 11: notification \d+\)\n$/,
  );
  const json = JSON.parse((await history('users', 11, '--json')).stdout);
  expect(json[0].otherHalf).toEqual({ notificationId: expect.any(Number), key: { id: 10 } });
});

test('--diff shows lines, --limit the newest, --json everything', async () => {
  const diff = await history('users', 1, '--diff', '--limit', 2);
  expect(diff.stderr).toBe(
    `${OMITTED}Showing the newest 2 of 3 versions of public.users 1; --limit shows more.\n`,
  );
  expect(diff.stdout.split('\n').slice(1, -2)).toEqual([
    '    name',
    '      - "Ada"',
    '      + \\u001b[2J\\u009b31m\\u000d',
    '      +   forged',
    '    prefs',
    '        {',
    '          "a": 1,',
    '      -   "theme": "dark"',
    '      +   "theme": "light"',
    '        }',
  ]);
  const json = await history('public.users', 1, '--json');
  expect(JSON.parse(json.stdout)).toEqual([
    expect.objectContaining({
      notificationId: ids[0],
      action: 'INSERT',
      userId: 'ada',
      before: null,
      after: { id: 1, name: 'Ada', prefs: { a: 1, theme: 'dark' } },
    }),
    expect.objectContaining({ action: 'UPDATE', userId: EVIL, changed: ['name', 'prefs'] }),
    expect.objectContaining({ action: 'DELETE', after: null, isAfterGap: false }),
  ]);
});

test('--at prints the row, or says that it did not exist or is unknown', async () => {
  const { rows } = await database.query(
    'select created_at as at from pgwatch.notification order by id',
  );
  const at = (time: Date, ...more: string[]) =>
    history('users', 1, '--at', time.toISOString(), ...more);
  await database.query(`insert into users values (2)`);
  const there = await at(rows[0].at);
  expect([there.exitCode, there.stdout]).toEqual([
    0,
    'id     1\nname   "Ada"\nprefs  {"a":1,"theme":"dark"}\n',
  ]);
  expect(there.stderr).toContain(
    `after INSERT of ${rows[0].at.toISOString()} (notification ${ids[0]}).`,
  );
  const gone = await at(new Date());
  expect([gone.exitCode, gone.stdout]).toEqual([0, '']);
  expect(gone.stderr).toContain('public.users 1 did not exist at');
  const unknown = await at(new Date(0), '--json');
  expect(unknown.exitCode).toBe(1);
  expect(JSON.parse(unknown.stdout)).toMatchObject({
    state: 'unknown',
    row: null,
    coveredSince: rows[0].at.toISOString(),
  });
  expect(unknown.stderr).toContain('is unknown: the log covers the table only since');
});

test('--undo prints SQL that psql can run, and refusals say what is wrong', async () => {
  const { stdout, exitCode } = await history('users', 1, '--undo', ids[2] ?? 0);
  expect(exitCode).toBe(0);
  await database.query(stdout);
  const { rows } = await database.query('select name from users where id = 1');
  expect(rows).toEqual([{ name: EVIL }]);
  const json = await history('users', 1, '--undo', ids[2] ?? 0, '--json');
  expect(JSON.parse(json.stdout)).toEqual({ notificationId: ids[2], sql: stdout.trimEnd() });
  const refused = async (...args: (string | number)[]) => {
    const result = await history(...args);
    expect(result.stdout).toBe('');
    return `${result.exitCode} ${result.stderr.split('\n').at(-2)}`;
  };
  expect(await refused('users', 1, '--undo', 999_999)).toContain(
    '1 error Notification 999999 is not a version of public.users 1',
  );
  expect(await refused('usrs', 1)).toMatch(
    /^1 error The log has no changes of usrs 1\. .*the name right, .*"pgwatch trigger list"\)\?$/,
  );
  await database.query(
    `delete from pgwatch.notification_log;
     select setval('pgwatch.notification_log_id_seq', 1234); select smart_notify('orders')`,
  );
  expect(await refused('users', 1)).toMatch(
    / trigger list"\)\? It begins at id 1,235, of \S+Z; older notifications have been removed\.$/,
  );
  expect(await refused('users', 'x')).toBe(
    '2 error "x" is not a valid integer, the type of the key.',
  );
  expect(await refused('users', 1, '--at', '1h', '--undo', 1)).toBe('2 (see --help)');
});
