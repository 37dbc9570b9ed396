import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { listening } from '../helpers/listening.ts';

const database = useDatabase();
const quote = pg.escapeIdentifier;

/** Creates a table and the trigger as people write it. Returns the quoted name. */
async function capturedTable(name: string, columns: string, args = ''): Promise<string> {
  await database.query(`create table ${quote(name)} (${columns})`);
  await database.query(`CREATE TRIGGER capture AFTER INSERT OR UPDATE OR DELETE ON ${quote(name)}
    FOR EACH ROW EXECUTE FUNCTION notify_data_change(${args})`);
  return quote(name);
}

/** What the view shows of a table, in order. */
async function notifications(table: string) {
  const { rows } = await database.query(
    `select channel, key, payload from pgwatch.notification
     where payload ->> 'table' = $1 order by id`,
    [table],
  );
  return rows as { channel: string; key: string; payload: Record<string, unknown> }[];
}

test('insert, update and delete carry the row before and after', async () => {
  const table = await capturedTable('users', 'id bigint primary key, name text, age int');
  await database.query(`insert into ${table} values (1, 'Ada', 36)`);
  await database.query(`update ${table} set name = 'Lovelace', age = 36`);
  await database.query(`delete from ${table}`);
  const [inserted, updated, deleted] = await notifications('users');
  const metadata = { user_id: null, session_id: null, transaction_id: expect.any(String) };
  const base = { schema: 'public', table: 'users', id: 1, metadata };
  const before = { id: 1, name: 'Ada', age: 36 };
  const after = { id: 1, name: 'Lovelace', age: 36 };
  expect(inserted).toEqual({
    channel: 'data_change',
    key: 'public.users:1',
    payload: { ...base, action: 'INSERT', old_data: null, new_data: before, changed: null },
  });
  expect(updated?.payload).toEqual({
    ...base,
    action: 'UPDATE',
    old_data: before,
    new_data: after,
    changed: ['name'],
  });
  expect(deleted?.payload).toEqual({
    ...base,
    action: 'DELETE',
    old_data: after,
    new_data: null,
    changed: null,
  });
});

const uuid = randomUUID();

test.each([
  ['bigint', 'id bigint primary key', ['9007199254740991'], 9007199254740991, ':9007199254740991'],
  [
    'bigint beyond 2^53',
    'id bigint primary key',
    ['9223372036854775807'],
    undefined,
    ':9223372036854775807',
  ],
  ['uuid', 'id uuid primary key', [uuid], uuid, `:${uuid}`],
  ['text', 'code text primary key', ['a:b "c"'], 'a:b "c"', ':a:b "c"'],
  [
    'timestamptz',
    'at timestamptz primary key',
    ['2026-01-01 00:00:00+00'],
    '2026-01-01T00:00:00+00:00',
    ':2026-01-01T00:00:00+00:00',
  ],
  [
    'composite',
    'b text, a int, c text, primary key (a, b)',
    ['x', '7', 'rest'],
    { a: 7, b: 'x' },
    ':[7, "x"]',
  ],
  ['no', 'a int, b text', ['1', 'x'], null, ''],
])(
  'a table with %s primary key gets its id and its key',
  async (kind, columns, values, id, key) => {
    const name = `with ${kind}`;
    const table = await capturedTable(name, columns);
    const list = values.map((_, index) => `$${index + 1}`).join(', ');
    await database.query(`insert into ${table} values (${list})`, values);
    const [row] = await notifications(name);
    expect(row?.key).toBe(`public.${name}${key}`);
    if (id !== undefined) expect(row?.payload.id).toEqual(id);
  },
);

test('a changed primary key is a DELETE of the old key and an INSERT of the new', async () => {
  const table = await capturedTable('moving', 'id int primary key, name text');
  await database.query(`insert into ${table} values (1, 'Ada')`);
  await database.query(`update ${table} set id = 2`);
  expect((await notifications('moving')).slice(1)).toMatchObject([
    {
      key: 'public.moving:1',
      payload: { action: 'DELETE', id: 1, old_data: { id: 1, name: 'Ada' }, new_data: null },
    },
    {
      key: 'public.moving:2',
      payload: { action: 'INSERT', id: 2, old_data: null, new_data: { id: 2, name: 'Ada' } },
    },
  ]);
});

test.each(['Users', 'order items', `it's "quoted"`, '🔔 bell', 'a.b:c', 'naïve', '%I $1'])(
  'a table and columns named %s are captured',
  async (name) => {
    const column = quote(`${name} id`);
    const table = await capturedTable(name, `${column} int primary key, ${quote(`${name}!`)} text`);
    await database.query(`insert into ${table} values (1, 'x')`);
    expect(await notifications(name)).toMatchObject([
      {
        key: `public.${name}:1`,
        payload: { id: 1, new_data: { [`${name} id`]: 1, [`${name}!`]: 'x' } },
      },
    ]);
  },
);

test('a table in a schema that is not on the search path is captured', async () => {
  await database.query('create schema "Off Path"');
  await database.query('create table "Off Path".t (id int primary key)');
  await database.query(`create trigger c after insert on "Off Path".t
    for each row execute function notify_data_change()`);
  await database.query('insert into "Off Path".t values (1)');
  const rows = await notifications('t');
  expect(rows).toMatchObject([{ key: 'Off Path.t:1', payload: { schema: 'Off Path' } }]);
});

test('the argument is the channel', async () => {
  const table = await capturedTable('argued', 'id int primary key', `'Some "channel" 🔔'`);
  await database.query(`insert into ${table} values (1)`);
  expect(await notifications('argued')).toMatchObject([{ channel: 'Some "channel" 🔔' }]);
});

test.each([
  ['', 'PW001', 'not an empty one'],
  ['x'.repeat(64), 'PW001', 'not one of 64 bytes'],
])('a channel argument of %j is refused at the first change', async (channel, code, message) => {
  const table = await capturedTable(`bad ${channel.length}`, 'id int', pg.escapeLiteral(channel));
  const refused = database.query(`insert into ${table} values (1)`);
  await expect(refused).rejects.toMatchObject({ code });
  await expect(refused).rejects.toThrow(message);
});

const WRONG_TYPE =
  'has an option of the wrong type: id, key, columns and exclude are lists of texts, table is a ' +
  'list of two, fold is an object of texts, and the others are texts';

test.each([
  ['[]', 'has options that are not a JSON object'],
  ['null', 'has options that are not a JSON object'],
  ...[
    '{"id": "x"}',
    '{"id": ["id", null]}',
    '{"id": null}',
    '{"key": 5}',
    '{"exclude": {"a": 1}}',
    '{"columns": [["a"]]}',
    '{"table": ["a"]}',
    '{"table": ["a", "b", "c"]}',
    '{"fold": {"id": 1}}',
    '{"payload": null}',
    '{"when": 5}',
  ].map((options) => [options, WRONG_TYPE]),
  [
    '{"exlude": ["password"]}',
    'has the unknown option exlude; the options are id, key, table, columns, exclude, ' +
      'payload, fold, notify, when, for_each',
  ],
  ['{"payload": "half"}', 'has the payload half, which must be full, keys or changed'],
  ['{"notify": "loudly"}', 'has the notify mode loudly, which must be always, doorbell or off'],
])(
  'the options %s are refused at the first change, in one sentence',
  async (options, complaint) => {
    const table = await capturedTable(`options ${options}`, 'id int', `'ch', '${options}'`);
    const refused = database.query(`insert into ${table} values (1)`);
    await expect(refused).rejects.toMatchObject({
      code: 'PW003',
      message: `Trigger capture on public.options ${options} ${complaint}.`,
    });
  },
);

test('TRUNCATE is captured by a statement trigger', async () => {
  const table = await capturedTable('emptied', 'id int primary key');
  await database.query(`create trigger emptied after truncate on ${table}
    for each statement execute function notify_data_change()`);
  await database.query(`truncate ${table}`);
  expect(await notifications('emptied')).toMatchObject([
    {
      key: 'public.emptied',
      payload: { action: 'TRUNCATE', id: null, old_data: null, new_data: null, changed: null },
    },
  ]);
});

test.each([
  ['before insert', 'row', 'insert into wrong values (1)'],
  ['before truncate', 'statement', 'truncate wrong'],
])('a trigger %s for each %s is refused in one sentence', async (event, level, statement) => {
  await database.query('drop table if exists wrong');
  await database.query('create table wrong (id int)');
  await database.query(`create trigger "My trigger" ${event} on wrong
    for each ${level} execute function notify_data_change()`);
  await expect(database.query(statement)).rejects.toMatchObject({
    code: 'PW003',
    message: 'Trigger My trigger on public.wrong must be an AFTER trigger.',
  });
});

test('a trigger on a table of pgwatch is refused: it would capture itself endlessly', async () => {
  const client = await database.connect();
  await client.query('begin');
  await client.query(`create trigger loop after insert on pgwatch.notification_log
    for each row execute function notify_data_change()`);
  await expect(client.query(`select smart_notify('c')`)).rejects.toThrow(
    "would capture pgwatch's own tables",
  );
  await client.query('rollback');
});

test('app.user_id and app.session_id become the metadata of a change', async () => {
  const table = await capturedTable('audited', 'id int primary key');
  const client = await database.connect();
  await client.query('begin');
  await client.query(`set local app.user_id = 'Zoë "42"'`);
  await client.query(`insert into ${table} values (1)`);
  await client.query(`set local app.session_id = 's-1'`);
  await client.query(`insert into ${table} values (2)`);
  const { rows } = await client.query('select pg_current_xact_id()::text as xid');
  await client.query('commit');
  // After the transaction the settings are empty strings, which count as unset.
  await client.query(`insert into ${table} values (3)`);
  const metadata = (await notifications('audited')).map(({ payload }) => payload.metadata);
  const transaction_id = rows[0].xid;
  expect(metadata).toEqual([
    { user_id: 'Zoë "42"', session_id: null, transaction_id },
    { user_id: 'Zoë "42"', session_id: 's-1', transaction_id },
    { user_id: null, session_id: null, transaction_id: expect.any(String) },
  ]);
});

test.each([
  ['', []],
  ['always', ['loud']],
  ['ALWAYS', ['loud']],
  ['doorbell', []],
  ['off', []],
  ['garbage', []],
])(
  'with pgwatch.notify set to %j and no sleeping daemon, a listener hears %j',
  async (mode, expected) => {
    const name = `loud ${mode}`;
    const table = await capturedTable(name, 'id int primary key', `'loud'`);
    const { client, heard } = await listening(database, 'loud', 'pgwatch');
    await client.query(`select set_config('pgwatch.notify', $1, false)`, [mode]);
    await client.query(`insert into ${table} values (1)`);
    expect(heard.map(({ channel }) => channel)).toEqual(expected);
  },
);

test('an announced change has the payload that the view shows', async () => {
  const table = await capturedTable('announced', 'a int primary key, b text', `'news'`);
  const { client, take } = await listening(database, 'news');
  await client.query(`set pgwatch.notify = 'always'`);
  await client.query(`insert into ${table} values (1, 'x')`);
  await client.query(`update ${table} set b = repeat('y', 8000)`);
  const rows = await notifications('announced');
  expect(take()).toEqual([
    expect.objectContaining({ data: rows[0]?.payload }),
    expect.objectContaining({ large_payload: true }),
  ]);
});

test('neither a rolled-back change nor a conflicting insert is captured', async () => {
  const table = await capturedTable('quiet', 'id int primary key');
  const client = await database.connect();
  await client.query(`begin; insert into ${table} values (1); rollback`);
  await client.query(`insert into ${table} values (2)`);
  await client.query(`insert into ${table} values (2) on conflict do nothing`);
  expect((await notifications('quiet')).map(({ payload }) => payload.id)).toEqual([2]);
});

test('values that JSON cannot express do not break the writer', async () => {
  const table = await capturedTable(
    'odd values',
    'id int primary key, f float8, n numeric, t timestamptz, b bytea, a int[], r int4range, x xml',
  );
  await database.query(`insert into ${table}
    values (1, 'NaN', 'NaN', 'infinity', '\\x00ff', '{{1,NULL}}', 'empty', '<a/>')`);
  const [row] = await notifications('odd values');
  expect(row?.payload.new_data).toEqual({
    id: 1,
    f: 'NaN',
    n: 'NaN',
    t: 'infinity',
    b: '\\x00ff',
    a: [[1, null]],
    r: 'empty',
    x: '<a/>',
  });
});
