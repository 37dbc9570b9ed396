import { expect, test } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { makeProject } from '../helpers/project.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

/** Runs pgwatch trigger; reports come without their times. */
async function trigger(args: readonly string[], cwd?: string) {
  const env = { DATABASE_URL: database.url };
  const result = await runMain(['trigger', ...args], { env, ...(cwd && { cwd }) });
  return { ...result, said: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '').trimEnd() };
}

const list = async () =>
  JSON.parse((await trigger(['list', '--json'])).stdout) as Record<string, unknown>[];

test('add reports what it did, can be repeated, and applies new options', async () => {
  await database.query('create table users (id int primary key, email text, password text)');
  expect(await trigger(['add', 'users'])).toMatchObject({
    exitCode: 0,
    stdout: '',
    said:
      'Captured: public.users, insert, update, delete, truncate, on channel data_change, for ' +
      'each statement.',
  });
  expect((await trigger(['add', 'users'])).said).toBe(
    'Unchanged: public.users is already captured this way.',
  );
  const flags = ['--exclude', 'password', '--channel', 'users', '--operations', 'update,insert'];
  expect((await trigger(['add', 'users', ...flags])).said).toBe(
    'Changed: public.users, channel data_change → users; operations insert, update, delete, ' +
      'truncate → insert, update; exclude none → password.',
  );
  expect(await list()).toEqual([
    {
      schema: 'public',
      table: 'users',
      options: { channel: 'users', operations: ['insert', 'update'], exclude: ['password'] },
      forEach: 'statement',
      byHand: false,
      triggers: ['00_pgwatch_insert', '00_pgwatch_update'],
      disabled: [],
      foreignCasts: [],
      losses: [],
      stale: [],
    },
  ]);
  const table = await trigger(['list']);
  expect(table.stdout).toBe(
    [
      'TABLE         STATE    CHANNEL  OPERATIONS     FOR EACH   OPTIONS',
      'public.users  current  users    insert,update  statement  exclude password\n',
    ].join('\n'),
  );
});

test('list finds stale and disabled captures, and add repairs them', async () => {
  await database.query('create table aging (id int primary key, a int, b int)');
  await trigger(['add', 'aging', '--exclude', 'a']);
  await database.query('alter table aging drop constraint aging_pkey, add primary key (b, id)');
  await database.query('alter table aging disable trigger "00_pgwatch_insert"');
  const stale = await trigger(['list']);
  expect(stale.exitCode).toBe(1);
  expect(stale.stdout).toMatch(/^public\.aging +partly disabled +data_change /m);
  expect(stale.said.split('\n')).toEqual([
    'warning public.aging is stale: id id → b, id; key id → b, id. "pgwatch trigger add" or ' +
      'sync updates it.',
    'warning public.aging is not captured by "00_pgwatch_insert", which is disabled, or fires ' +
      'only in replication: alter table … enable trigger.',
  ]);
  await database.query('alter table aging drop column a');
  expect((await trigger(['list'])).said).toContain('has no column "a", which exclude names');
  const added = await trigger(['add', 'aging']);
  expect(added.said).toContain('exclude a → none; enabled 00_pgwatch_insert of public.aging');
  expect((await trigger(['list'])).exitCode).toBe(0);
  await database.query('insert into aging values (1, 2)');
  const { rows } = await database.query(
    `select key from pgwatch.notification_log where key ~ 'aging'`,
  );
  expect(rows).toEqual([{ key: 'public.aging:[2, 1]' }]);
});

test('--dry-run prints what add would run, sql a script; neither changes anything', async () => {
  await database.query('create table planned (id int primary key)');
  const sql = await trigger(['sql', 'planned', '--payload', 'keys']);
  const dry = await trigger(['add', 'planned', '--payload', 'keys', '--dry-run']);
  expect(sql.stdout.replaceAll('create or replace', 'create')).toContain(dry.stdout);
  expect(await list()).not.toContainEqual(expect.objectContaining({ table: 'planned' }));
  await database.query(sql.stdout);
  expect(await list()).toContainEqual(
    expect.objectContaining({
      table: 'planned',
      options: expect.objectContaining({ payload: 'keys' }),
    }),
  );
  expect((await trigger(['add', 'planned', '--payload', 'keys'])).said).toContain('Unchanged');
  await database.query((await trigger(['sql', 'planned', '--down'])).stdout);
  expect(await list()).not.toContainEqual(expect.objectContaining({ table: 'planned' }));
});

test('--all captures a schema with exceptions; remove takes any names', async () => {
  await database.query(`create schema "My app"; create table "My app".a (id int primary key);
    create table "My app"."b.c" (id int primary key); create view "My app".v as select 1 as one;
    create table "My app".p (id int primary key) partition by range (id);
    create table "My app".p1 partition of "My app".p default`);
  const added = await trigger(['add', '--all', '--schema', 'My app', '--except', 'My app.a']);
  expect(added.said.split('\n').map((line) => line.slice(0, 30))).toEqual([
    'Captured: My app."b.c", insert',
    'Captured: My app.p, insert, up',
    'warning Nothing is published f',
  ]);
  const removed = await trigger(['remove', 'My app."b.c"', 'My app.p', 'My app.a']);
  expect(removed.said.split('\n')).toEqual([
    'Removed: My app."b.c" is no longer captured.',
    'Removed: My app.p is no longer captured.',
    'Unchanged: My app.a was not captured.',
  ]);
});

test('a condition is not kept once a column that it tests was renamed', async () => {
  await database.query('create table named (id int primary key, "odd ""state" text, note text)');
  const when = `new."odd ""state" = 'paid'`;
  await trigger(['add', 'named', '--operations', 'insert', '--when', when]);
  await database.query('alter table named rename "odd ""state" to "new.*"');
  const stale = 'when, since a column that it tests is called new.* now';
  expect((await trigger(['list'])).said).toContain(stale);
  await database.query('alter table named add column "odd ""state" text');
  for (const args of [['sql'], ['add', '--dry-run'], ['add', '--exclude', 'note']]) {
    const [action = '', ...others] = args;
    const refused = await trigger([action, 'named', ...others]);
    expect([refused.exitCode, refused.said], action).toEqual([
      2,
      `error The condition of public.named, ${when}, was written before a column was renamed to ` +
        'new.*. Give --when again, as it should be now.',
    ]);
  }
  const again = await trigger(['add', 'named', '--when', `new."new.*" = 'paid'`]);
  expect(again.said).toContain('Changed: public.named');
  expect((await trigger(['list'])).said).not.toContain(stale);
});

test('a manual trigger with odd arguments stops no command', { timeout: 120_000 }, async () => {
  await database.query('create schema odd; create table odd.t (id int primary key, a text)');
  for (const options of ['null', '1', '{"id": "x", "table": "x", "key": 5}', '{"when": 5}']) {
    await database.query(`drop trigger if exists x on odd.t;
      create trigger x after insert on odd.t for each row
        execute function notify_data_change('c', '${options}')`);
    for (const args of [
      ['trigger', 'list'],
      ['trigger', 'sql', 'odd.t'],
      ['trigger', 'add', 'odd.t', '--dry-run'],
      ['why', '--table', 'odd.t'],
      ['history', 'odd.t', '1'],
      ['types'],
      ['doctor'],
    ]) {
      const { stdout, stderr } = await runMain(args, { env: { DATABASE_URL: database.url } });
      expect(`${stdout}${stderr}`, `${args} ${options}`).not.toMatch(
        /TypeError|Cannot read|\n +at /,
      );
    }
  }
  await database.query('drop schema odd cascade');
});

test('excluded columns are not exposed silently, and never by --all', async () => {
  await database.query(
    'create schema vault; create table vault.people (id int primary key, pin text)',
  );
  await trigger(['add', 'vault.people', '--exclude', 'pin']);
  const refused = await trigger(['add', '--all', '--schema', 'vault', '--reset']);
  expect([refused.exitCode, refused.said]).toEqual([
    2,
    'error vault.people excludes pin, which --all would add to its notifications: leave the ' +
      'table out with --except, or give --exclude, too. Nothing was changed.',
  ]);
  expect((await trigger(['add', 'vault.people', '--reset'])).said).toContain(
    'warning pin of vault.people was excluded, but is in its notifications from now on',
  );
});

test('add, --dry-run and sql keep options that are not given, and warn alike', {
  timeout: 120_000,
}, async () => {
  await database.query('create table partial (id int primary key, email text, note text, n int)');
  const flags = ['--channel', 'p', '--exclude', 'email', '--operations', 'insert,update'];
  await trigger(['add', 'partial', ...flags, '--when', 'new.n > 0', '--notify', 'off']);
  const before = await list();
  const kept = 'channel p; operations insert, update; exclude email; when new.n > 0; notify off';
  const said = `Kept: public.partial, ${kept}. --reset restores the defaults.`;
  const printed = await trigger(['sql', 'partial']);
  expect(printed.said).toBe(said);
  await database.query(printed.stdout);
  expect(await list()).toEqual(before);
  const again = await trigger(['add', 'partial']);
  expect(again.said.split('\n')).toEqual([
    'Unchanged: public.partial is already captured this way.',
    said,
  ]);
  const dry = await trigger(['add', 'partial', '--payload', 'changed', '--dry-run']);
  expect([dry.said, dry.stdout]).toEqual([said, expect.stringContaining('"exclude":["email"]')]);
  expect(await list()).toEqual(before);
  await trigger(['add', 'partial', '--exclude', 'email,note', '--payload', 'changed']);
  const exposed = 'warning email of public.partial was excluded, but is in its notifications';
  for (const args of [['sql'], ['add', '--dry-run'], ['add']]) {
    const [action = '', ...others] = args;
    const warned = await trigger([action, 'partial', '--exclude', 'note', ...others]);
    expect(warned.said, args.join(' ')).toContain(exposed);
  }
  const reset = await trigger(['sql', 'partial', '--reset']);
  expect(reset.said).toContain('warning note of public.partial was excluded');
  expect(reset.said).not.toContain('Kept');
  await database.query('alter table partial drop column note');
  expect(await trigger(['add', 'partial'])).toMatchObject({ exitCode: 0 });
  await database.query(`create trigger by_hand after insert on partial for each row
    execute function notify_data_change()`);
  expect((await trigger(['sql', 'partial'])).said).toContain('you created yourself');
});

test('the SQL of a narrower capture removes what is no longer wanted', async () => {
  await database.query('create table narrowed (id int primary key, note text)');
  await trigger(['add', 'narrowed']);
  const options = ['narrowed', '--operations', 'insert', '--exclude', 'note'];
  await database.query((await trigger(['sql', ...options])).stdout);
  expect((await trigger(['add', ...options])).said).toContain('Unchanged');
});

test('a partition is captured with its table; by itself its TRUNCATE is not captured', async () => {
  await database.query(`create table whole (id int primary key) partition by range (id);
    create table part partition of whole for values from (0) to (10)`);
  await trigger(['add', 'part']);
  await database.query('insert into whole values (1); truncate part');
  const { rows } = await database.query(
    `select action, key from pgwatch.notification_log where key ~ 'whole|part' order by id`,
  );
  expect(rows).toEqual([{ action: 'INSERT', key: 'public.whole:1' }]);
  await trigger(['remove', 'part']);
  await trigger(['add', 'whole']);
  expect(await trigger(['add', 'part'])).toMatchObject({
    exitCode: 2,
    said:
      'error public.part is a partition of public.whole, which is captured, ' +
      'including its partitions.',
  });
});

test('a handwritten trigger is listed, not changed by add, and removed on request', async () => {
  await database.query(`create table manual (id int primary key);
    create trigger mine after insert or update on manual for each row
      execute function notify_data_change('m')`);
  expect(await list()).toContainEqual(
    expect.objectContaining({ table: 'manual', byHand: true, forEach: 'row', triggers: ['mine'] }),
  );
  const refused = await trigger(['add', 'manual']);
  expect(refused).toMatchObject({
    exitCode: 2,
    said:
      'error public.manual is already captured by the manually created trigger "mine": drop it ' +
      'first, or run "pgwatch trigger remove".',
  });
  expect((await trigger(['remove', 'manual'])).said).toContain('Removed');
  expect((await trigger(['add', 'manual'])).exitCode).toBe(0);
});

test('sync makes the database match the config; --check only reports', async () => {
  await database.query(`create table kept (id int primary key);
    create table extra (id int primary key);
    create table missing (id int primary key)`);
  await trigger(['remove', ...(await list()).map(({ schema, table }) => `${schema}.${table}`)]);
  await trigger(['add', 'kept', 'extra']);
  const cwd = makeProject({
    'pgwatch.config.ts': `export default {
      triggers: { 'public.kept': { channel: 'k' }, missing: {} },
    };`,
  });
  const drift = [
    'Different: public.kept, channel data_change → k.',
    'Missing: public.missing is not captured.',
    'Extra: public.extra is captured, but not in the config.',
  ];
  const checked = await trigger(['sync', '--check'], cwd);
  expect([checked.exitCode, checked.said.split('\n')]).toEqual([1, drift]);
  const synced = await trigger(['sync', '--json'], cwd);
  expect(
    JSON.parse(synced.stdout).map(({ table, kind }: Record<string, string>) => [table, kind]),
  ).toEqual([
    ['kept', 'changed'],
    ['missing', 'added'],
    ['extra', 'removed'],
  ]);
  expect(await trigger(['sync', '--check'], cwd)).toMatchObject({
    exitCode: 0,
    said: 'The database matches 2 triggers.',
  });
  expect((await list()).map(({ table }) => table)).toEqual(['kept', 'missing']);
});

test('sync refuses a config that names one table twice', async () => {
  await database.query('create table twice (id int primary key, secret text)');
  const cwd = makeProject({
    'pgwatch.config.ts': `export default {
      triggers: { twice: { exclude: ['secret'] }, 'public.twice': {} },
    };`,
  });
  const refused = await trigger(['sync'], cwd);
  expect([refused.exitCode, refused.said]).toEqual([
    2,
    'error twice and public.twice in triggers of the config are the same table: keep one of them.',
  ]);
});

test.each([
  [['add'], 'Choose the tables: give names, or --all --schema app.'],
  [['add', '--all'], '--all requires --schema, for example --all --schema app.'],
  [['add', 'a', '--all'], 'Give either the names of tables or --all, not both.'],
  [['add', 'a', '--schema', 'x'], '--schema and --except require --all.'],
  [['add', 'nosuch'], 'There is no table nosuch in public.'],
  [['add', 'a.b.c'], '"a.b.c" is not a table name'],
  [['add', 'seen'], 'public.seen is a view: capture the tables that it reads.'],
  [
    ['add', 'pgwatch.delivery'],
    "pgwatch.delivery is one of pgwatch's own: it would capture itself forever.",
  ],
  [
    ['add', 'wrong', '--columns', 'emial'],
    'public.wrong has no column "emial", which columns names. Did you mean "email"?',
  ],
  [['add', 'wrong', '--exclude', 'id'], 'public.wrong needs "id" in its notifications'],
  [
    ['add', 'wrong', '--operations', 'insret'],
    '--operations must be a list of insert, update, delete, truncate, without duplicates, ' +
      'not ["insret"].',
  ],
  [['add', 'wrong', '--channel', 'x'.repeat(64)], '--channel must be a name of 1 to 63 bytes'],
  [
    ['add', 'wrong', '--when', 'new.id > 1'],
    "DELETE trigger's WHEN condition cannot reference NEW values",
  ],
  [
    [
      'add',
      'wrong',
      '--operations',
      'insert',
      '--when',
      'true) execute function notify_data_change(); create trigger x after insert on wrong ' +
        'for each row when (true',
    ],
    'public.wrong cannot be captured like that: cannot insert multiple commands',
  ],
  [
    ['add', 'wrong', '--when', 'new.id > 1', '--for-each', 'statement'],
    'cannot be captured for each statement: its condition applies to rows',
  ],
])('%j is refused with a sentence', async (args, sentence) => {
  await database.query(`create table if not exists wrong (id int primary key, email text);
    create or replace view seen as select 1 as one`);
  const { exitCode, said } = await trigger(args);
  expect(said).toContain(sentence);
  expect(said.split('\n')).toHaveLength(1);
  expect(exitCode).toBe(2);
});

test('add and list name a table whose type has an unused cast', async () => {
  const role = `owner_${process.pid}`;
  await database.query(`create role ${role}; create type mood as enum ('sad');
    create table owned (id int primary key, mood mood);
    create function spell(mood) returns json language sql as $$ select '1'::json $$;
    create cast (mood as json) with function spell(mood)`);
  try {
    expect((await trigger(['add', 'owned'])).said).not.toContain('captured as text');
    expect((await trigger(['list'])).stdout).toMatch(/^public\.owned +current /m);
    await database.query(`alter function spell(mood) owner to ${role}`);
    const listed = await trigger(['list']);
    expect([listed.exitCode, listed.said]).toEqual([
      1,
      expect.stringContaining(
        'Values of the type public.mood in public.owned are captured as text',
      ),
    ]);
    expect((await trigger(['add', 'owned', '--payload', 'keys'])).said).toContain(
      'Values of the type public.mood in public.owned are captured as text',
    );
  } finally {
    await database.query(`drop table owned; drop type mood cascade; drop role ${role}`);
  }
});

test('DDL lets writers pass, names the session it waits for, and then continues', async () => {
  await database.query('create table busy (id int primary key)');
  const holder = await database.connect();
  await holder.query(`set application_name = 'holder'; begin; insert into busy values (1)`);
  const adding = startCli(['trigger', 'add', 'busy'], { env: { DATABASE_URL: database.url } });
  await adding.waitFor(
    /Waiting for public\.busy: pid \d+ \(holder\) is idle in transaction for .*insert into busy/,
  );
  // Writers that come meanwhile wait no longer than the current attempt.
  await database.query(`set statement_timeout = '2s'; insert into busy values (2)`);
  await holder.query('commit');
  await until('it has ended', async () => (await adding.exited).exitCode === 0);
  expect(adding.stderr).toContain('Captured: public.busy');
});
