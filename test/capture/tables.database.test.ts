import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { planCapture } from '../../src/capture/plan.ts';
import { readTables } from '../../src/capture/table.ts';
import { triggerSql } from '../../src/capture/trigger-sql.ts';
import { withConnection } from '../../src/database/connect.ts';
import { captureTable, changesOf, shortChangesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';

/* Tables as they occur in practice, and what happens to tables after they were captured. */

const database = useDatabase();

test.each([
  ['plain', {}],
  ['with_options', { exclude: ['gone'], columns: ['name', 'gone'] }],
  ['by_row', { forEach: 'row' }],
] as const)(
  'no write fails if columns or the table change under the trigger (%s)',
  async (name, options) => {
    await captureTable(database, name, 'id int primary key, name text, gone text', { ...options });
    await database.query(`insert into ${name} values (1, 'a', 'x')`);
    await database.query(`alter table ${name} rename id to "new id"`);
    await database.query(`insert into ${name} values (2, 'b', 'x')`);
    await database.query(`update ${name} set name = 'c' where "new id" = 2`);
    await database.query(`alter table ${name} drop column gone, add column extra int default 7`);
    await database.query(`update ${name} set name = 'd'`);
    await database.query(`alter table ${name} rename to ${name}_renamed`);
    await database.query(`delete from ${name}_renamed`);
    expect(await shortChangesOf(database, name)).toEqual([
      'INSERT 1',
      'INSERT 2',
      'UPDATE 2 name',
      'UPDATE 1 name',
      'UPDATE 2 name',
    ]);
    const renamed = await changesOf(database, `${name}_renamed`);
    expect(renamed.map(({ key }) => key)).toEqual(
      [1, 2].map((id) => `public.${name}_renamed:${id}`),
    );
    expect(renamed[0]?.payload.old_data).toEqual({ 'new id': 1, name: 'd', extra: 7 });
  },
);

test('a row of 1,600 columns and a row of 10 MB arrive complete', async () => {
  const names = Array.from({ length: 1599 }, (_, index) => `c${index}`);
  await captureTable(
    database,
    'wide',
    `id int primary key, ${names.map((name) => `${name} bool`).join(', ')}`,
  );
  await database.query('insert into wide (id, c1598) values (1, true)');
  const [wide] = await changesOf(database, 'wide');
  expect(Object.keys(wide?.payload.new_data as object)).toHaveLength(1600);
  await captureTable(database, 'large', 'id int primary key, t text, b bytea');
  await database.query(
    `insert into large values (1, repeat('ü', 5000000), decode(repeat('ab', 1000000), 'hex'))`,
  );
  await database.query(`update large set b = null`);
  const { rows } = await database.query(
    `select length(payload #>> '{new_data,t}') as text, length(payload #>> '{old_data,b}') as bytes
     from pgwatch.notification where payload ->> 'action' = 'UPDATE'
       and payload ->> 'table' = 'large'`,
  );
  expect(rows).toEqual([{ text: 5_000_000, bytes: 2_000_002 }]);
});

test('row-level security hides nothing from capture, and capture blocks no writer', async () => {
  const { name, url } = await createRole(database, 'tenant');
  await captureTable(database, 'secured', 'id int primary key, tenant text default current_user');
  await database.query(`alter table secured enable row level security, force row level security;
    create policy own on secured using (tenant = current_user) with check (true);
    grant all on secured to "${name}"`);
  await withConnection({ url }, async (tenant) => {
    await tenant.query(`insert into secured values (1, 'somebody else'), (2, current_user)`);
    await tenant.query('update secured set id = id + 10');
    expect((await tenant.query('select from secured')).rowCount).toBe(1);
  });
  expect(await shortChangesOf(database, 'secured')).toEqual([
    'INSERT 1',
    'INSERT 2',
    'DELETE 2',
    'INSERT 12',
  ]);
});

test('partitions are published as their table, even moved rows and new partitions', async () => {
  await captureTable(
    database,
    'parted',
    'id int, at date, primary key (id, at)) partition by range (at',
  );
  await database.query(`create table p1 partition of parted
      for values from ('2026-01-01') to ('2026-02-01');
    create table p2 (id int not null, at date not null, primary key (id, at));
    alter table parted attach partition p2 for values from ('2026-02-01') to ('2026-03-01')`);
  await database.query(
    `insert into parted values (1, '2026-01-05'); insert into p2 values (2, '2026-02-05')`,
  );
  await database.query(`update parted set at = '2026-02-06' where id = 1`);
  await database.query('alter table parted detach partition p2; insert into p2 values (3, now())');
  expect(
    (await changesOf(database, 'parted')).map(({ key, payload }) => [payload.action, key]),
  ).toEqual([
    ['INSERT', 'public.parted:[1, "2026-01-05"]'],
    ['INSERT', 'public.parted:[2, "2026-02-05"]'],
    ['DELETE', 'public.parted:[1, "2026-01-05"]'],
    ['INSERT', 'public.parted:[1, "2026-02-06"]'],
  ]);
});

test('in an inheritance tree each table is captured by itself, with all columns', async () => {
  await captureTable(database, 'parent_table', 'id int primary key');
  await database.query(
    'create table child_table (extra text, primary key (id)) inherits (parent_table)',
  );
  const client = await database.connect();
  const { warnings } = await createTrigger(client, 'parent_table');
  expect(warnings.join()).toContain('has parents or children');
  await createTrigger(client, 'child_table');
  await client.query(
    `insert into parent_table values (1); insert into child_table values (2, 'x')`,
  );
  await client.query('update parent_table set id = id');
  expect(await shortChangesOf(database, 'parent_table')).toEqual(['INSERT 1', 'UPDATE 1 nothing']);
  expect((await changesOf(database, 'child_table')).at(-1)?.payload.new_data).toEqual({
    id: 2,
    extra: 'x',
  });
});

test('the triggers fire for writes of a subscription, too', async () => {
  await captureTable(database, 'replicated', 'id int primary key', { channel: 'before' });
  const client = await database.connect();
  const { rows } = await client.query(`select 'replicated'::regclass::oid::int as oid`);
  const [table] = (await readTables(client, database.config, [rows[0].oid])).values();
  if (!table) throw new Error('there is no such table');
  const capture = planCapture(
    { ...table, isSubscribed: true },
    { channel: 'after' },
    database.config,
  );
  expect(capture.level.forEach).toBe('row');
  for (const trigger of capture.triggers) {
    for (const text of triggerSql(table, trigger, database.config, { isThere: true }))
      await client.query(text);
  }
  // The process that applies a subscription runs like this.
  await client.query(`set session_replication_role = replica; insert into replicated values (1)`);
  expect((await changesOf(database, 'replicated')).map(({ channel }) => channel)).toEqual([
    'after',
  ]);
});

test('deferred constraints work, and so does two-phase commit without NOTIFY', async () => {
  await captureTable(database, 'deferred_child', 'id int primary key, parent int', {
    notify: 'off',
  });
  await database.query(`create table deferred_parent (id int primary key);
    alter table deferred_child add foreign key (parent)
      references deferred_parent deferrable initially deferred`);
  const client = await database.connect();
  await client.query('begin; insert into deferred_child values (1, 1)');
  await expect(client.query('commit')).rejects.toThrow('violates foreign key');
  await client.query(
    `begin; insert into deferred_child values (2, 2); insert into deferred_parent values (2)`,
  );
  await client.query(`prepare transaction 'captured'`);
  expect(await shortChangesOf(database, 'deferred_child')).toEqual([]);
  await client.query(`commit prepared 'captured'`);
  expect(await shortChangesOf(database, 'deferred_child')).toEqual(['INSERT 2']);
});

test('a temporary table can be captured manually; foreign tables are refused', async () => {
  const client = await database.connect();
  await client.query(`create temporary table fleeting (id int primary key);
    create trigger t after insert on fleeting referencing new table as changed_rows
      for each statement execute function notify_data_change('data_change', '{"exclude": ["x"]}');
    insert into fleeting values (1)`);
  const [change] = await changesOf(database, 'fleeting');
  expect(change?.key).toMatch(/^pg_temp_\d+\.fleeting:1$/);
  await client.query(`create foreign data wrapper nothing;
    create server far foreign data wrapper nothing;
    create foreign table distant (id int) server far;
    create materialized view stale as select 1 as one`);
  await expect(createTrigger(client, 'distant')).rejects.toThrow(
    'public.distant is a foreign table, whose rows change without its triggers: ' +
      'capture it on its own server.',
  );
  await expect(createTrigger(client, 'stale')).rejects.toThrow(
    'public.stale is a materialized view',
  );
});

test('capturing a self-referencing table for each statement gives a warning', async () => {
  const client = await database.connect();
  await client.query(
    'create table tree (id int primary key, parent int references tree on delete cascade)',
  );
  const asked = await createTrigger(client, 'tree', { forEach: 'statement' });
  expect(asked.warnings.join()).toMatch(
    /A foreign key may change .*tree within a statement, .* for each row\./,
  );
  const { warnings } = await createTrigger(client, 'tree', { forEach: 'auto' });
  expect(warnings.join()).not.toContain('within a statement');
});
