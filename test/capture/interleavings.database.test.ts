import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import type { Change } from '../../src/log/notification.ts';
import { useDatabase } from '../helpers/database.ts';
import { RebuiltTable } from '../helpers/rebuilt-table.ts';

/*
Goal: whatever writes to a table, applying its notifications in order rebuilds the table.
Method: a schema for each way of writing and of capturing; each table has a column "secret".
*/

const database = useDatabase();

const T = 'create table t (id int primary key, n int, secret text);';
const FIVE = 'insert into t select g, g from generate_series(1, 5) as g';
const trigger = (body: string) => `create function f() returns trigger language plpgsql as $$
  begin ${body}; return new; end $$;`;

/** The name, the tables with their triggers, and the writes. */
const WAYS: [name: string, setup: string, ...writes: string[]][] = [
  [
    'ON CONFLICT',
    T,
    FIVE,
    `insert into t select g, 0 from generate_series(3, 9) as g
       on conflict (id) do update set n = t.n + 1, id = t.id + 100 where t.id > 3`,
    'insert into t values (1, 9) on conflict do nothing',
  ],
  [
    'data-modifying CTEs',
    `${T} create table u (id int primary key, n int, secret text)`,
    FIVE,
    `with gone as (delete from t where id < 3 returning *),
       moved as (insert into u select * from gone),
       changed as (update t set n = 0 where id > 4) insert into t select id + 100, n from gone`,
    'with gone as (delete from t where id = 3 returning *) insert into u select id, 33 from gone',
  ],
  [
    'a trigger that writes to its own row again',
    `${T} ${trigger('if new.n < 3 then update t set n = n + 1 where id = new.id; end if')}
     create trigger again after insert or update on t for each row execute function f()`,
    'insert into t values (1, 0), (2, 1)',
    'update t set n = 0',
    'update t set id = id + 10, n = 1',
  ],
  [
    'a statement trigger that writes to its own table',
    `${T} ${trigger('update t set n = n + 1 where n < 3')}
     create trigger again after insert or update on t for each statement
       when (pg_trigger_depth() < 3) execute function f()`,
    'insert into t values (1, 0), (2, 1)',
    'update t set n = 0',
  ],
  [
    'foreign keys',
    `create table p (id int primary key, secret text);
     create table c (id int primary key, p int references p on update cascade
       on delete cascade, secret text);
     create table n (id int primary key, p int default 1 references p on update set null
       on delete set default,
       secret text)`,
    'insert into p select generate_series(1, 5)',
    `insert into c select g, g % 5 + 1 from generate_series(1, 9) as g;
      insert into n select * from c`,
    'update p set id = id + 10 where id > 2',
    'delete from p where id in (2, 13)',
  ],
  [
    'a foreign key to itself',
    `create table p (id int primary key, up int references p on update cascade
      on delete cascade, secret text)`,
    'insert into p values (1, null), (2, 1), (3, 2), (4, 3), (5, 5)',
    'update p set id = id + 10',
    'delete from p where id = 11',
  ],
  [
    'partitions',
    `create table p (id int, k int, n int, secret text, primary key (id, k)) partition by list (k);
     create table p1 partition of p for values in (1);
     create table p2 (n int, secret text, k int not null, id int not null);
     alter table p attach partition p2 for values in (2);
     create table p3 partition of p for values in (3, 4) partition by list (k);
     create table p3a partition of p3 for values in (3);
     create table p3b partition of p3 for values in (4)`,
    'insert into p select g, g % 4 + 1, g from generate_series(1, 20) as g',
    'update p set k = k % 4 + 1',
    'update p3 set k = 7 - k',
    'insert into p3a values (100, 3, 0); insert into p2 (id, k, n) values (101, 2, 0)',
    'update p set id = id + 1000 where id < 5',
    'insert into p values (6, 4, 9) on conflict (id, k) do update set n = 99; delete from p1',
  ],
  [
    'savepoints',
    T,
    `begin; insert into t values (1, 1); savepoint a; insert into t values (2, 2);
     update t set n = 9; rollback to a; insert into t values (3, 3); savepoint b;
     delete from t where id = 1; release b; commit`,
    'begin; truncate t; rollback',
  ],
  [
    "tables and columns named like the function's variables",
    `create table changed_rows (data int primary key, number int, old_data jsonb, secret text);
     create table old_rows (like changed_rows including all)`,
    `insert into changed_rows values (1, 1, '{}'), (2, 2, '[]');
      insert into old_rows table changed_rows`,
    `update changed_rows set number = 3, old_data = '{"data": 7}';
      update old_rows set data = data + 10`,
    'delete from changed_rows where data = 1; delete from old_rows',
  ],
];

test.each(WAYS)('notifications rebuild the table: %s', async (_, setup, ...writes) => {
  for (const options of [{}, { exclude: ['secret'] }, { forEach: 'row' as const }]) {
    const client = await database.connect();
    await client.query('drop schema if exists way cascade; create schema way');
    await client.query('set search_path = way; truncate pgwatch.notification_log');
    await client.query(setup);
    const { rows } = await client.query(
      `select relname::text as name from pg_class where relnamespace = 'way'::regnamespace
         and relkind in ('r', 'p') and not relispartition`,
    );
    for (const { name } of rows) await createTrigger(client, name, options);
    for (const write of writes) await client.query(write);
    for (const { name } of rows) {
      const { rows: changes } = await client.query(
        `select payload || jsonb_build_object(
           'old', payload -> 'old_data', 'new', payload -> 'new_data') as change
         from pgwatch.notification where payload ->> 'table' = $1 order by id`,
        [name],
      );
      const copy = new RebuiltTable();
      for (const { change } of changes) copy.apply(change as Change);
      expect(changes.length).toBeGreaterThan(0);
      expect(await copy.differences(client, name)).toEqual([]);
    }
  }
});
