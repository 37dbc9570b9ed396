import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import type { TriggerOptions } from '../../src/config/triggers.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: whatever one statement does to a row, and in whatever order, its last notification matches the
table.
Method: statements that delete and insert a row at once, or change it indirectly, on tables with
foreign keys and triggers of all kinds.
*/

const database = useDatabase();

/**
 * Runs statements on captured tables and checks that the last notification of each key matches the
 * table.
 */
async function expectTruth(tables: readonly string[], ddl: string, ...statements: string[]) {
  const client = await database.connect();
  await client.query(ddl);
  for (const table of tables) await createTrigger(client, table, {} as TriggerOptions);
  for (const statement of statements) await client.query(statement);
  for (const table of tables) {
    const { rows } = await client.query(
      `with last as (
         select distinct on (key) action, new_row from pgwatch.notification_log
         where relation ->> 1 = $1 order by key, id desc)
       select
         (select coalesce(jsonb_agg(to_jsonb(t) order by t.id), '[]') from ${table} as t) as is,
         (select coalesce(jsonb_agg(new_row order by (new_row ->> 'id')::int), '[]') from last
           where action <> 'DELETE') as told`,
      [table],
    );
    expect(rows[0].told, table).toEqual(rows[0].is);
  }
  await client.end();
}

const replace = (table: string, id: number, columns: string) =>
  `with gone as (delete from ${table} where id = ${id} returning *)
   insert into ${table} select ${columns} from gone`;

test.each(['cascade', 'set null', 'set default'])(
  'the last notification is right for a row replaced in a self-referencing table: on delete %s',
  async (action) => {
    const table = `self_${action.replace(' ', '_')}`;
    await expectTruth(
      [table],
      `create table ${table} (id int primary key, parent int references ${table}
        on delete ${action}, v text);
       insert into ${table} values (4, null, 'a'), (5, 4, 'b'), (6, 5, 'c')`,
      `update ${table} set v = v`,
      replace(table, 4, `id, null, v || '!'`),
    );
  },
);

test('the last notification is right for a row in a ring of tables', async () => {
  await expectTruth(
    ['ring_a', 'ring_b', 'ring_c'],
    `create table ring_a (id int primary key, c int, v int);
     create table ring_b (id int primary key, a int references ring_a on delete cascade, v int);
     create table ring_c (id int primary key, b int references ring_b on delete cascade
       on update cascade, v int);
     alter table ring_a add foreign key (c) references ring_c on delete cascade;
     insert into ring_a values (1, null, 0), (2, null, 0);
     insert into ring_b values (1, 1, 0); insert into ring_c values (1, 1, 0);
     update ring_a set c = 1 where id = 2`,
    'update ring_a set v = 1; update ring_b set v = 1; update ring_c set v = 1',
    replace('ring_a', 1, 'id, null, 7'),
    replace('ring_a', 2, 'id, null, 8'),
  );
});

test('the last notification is right if MERGE deletes and inserts the same key', async () => {
  const { rows } = await database.query(
    `select current_setting('server_version_num')::int >= 150000 as has`,
  );
  if (!rows[0].has) return;
  await expectTruth(
    ['merged'],
    `create table merged (id int primary key, parent int references merged
      on delete cascade, v int);
     insert into merged values (1, null, 1), (2, null, 2)`,
    'update merged set v = v',
    `merge into merged as t using (values (1, 1), (1, 2), (2, 1)) as s (id, n)
     on t.id = s.id and s.n = 1
     when matched and t.id = 1 then delete
     when matched then update set v = 3
     when not matched then insert values (s.id + 10, null, 9)`,
  );
});

test('the last notification is right if on update cascade changes keys', async () => {
  await expectTruth(
    ['chain'],
    `create table chain (id int primary key, next int references chain on update cascade, v int);
     insert into chain values (1, null, 0), (2, 1, 0), (3, 2, 0)`,
    'update chain set v = 1',
    'update chain set id = id + 10',
    'update chain set id = 2, v = 5 where id = 12',
  );
});

const FIX = (table: string) => `create table ${table} (id int primary key, v int);
  create function fix_${table}() returns trigger language plpgsql as $$ begin
    if new.v < 100 then update ${table} set v = v + 100 where id = new.id; end if; return null;
    end $$`;

test.each([
  ['deferred', 'constraint trigger', 'deferrable initially deferred'],
  ['deferrable', 'constraint trigger', 'deferrable initially immediate'],
  ['immediate', 'trigger', ''],
])(
  'the last notification is right if a %s trigger writes back, with any SET CONSTRAINTS',
  async (kind, what, when) => {
    const table = `fixed_${kind}`;
    await expectTruth(
      [table],
      `${FIX(table)};
     create ${what} fix after insert or update on ${table} ${when} for each row
       execute function fix_${table}()`,
      `insert into ${table} values (1, 1), (2, 2)`,
      `begin; set constraints all immediate; update ${table} set v = 7, id = id + 10; commit`,
      `begin; set constraints all deferred; update ${table} set v = 8;
        delete from ${table} where id = 11; commit`,
      `begin; update ${table} set v = 9; set constraints all immediate; update ${table} set v = 3;
        commit`,
    );
  },
);
