import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { withConnection } from '../../src/database/connect.ts';
import { changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { type Attacker, castSql, withAttacker } from '../helpers/hostile-table.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: nothing that the owner of a type creates during a write runs as the owner of pgwatch.
*/

const database = useDatabase();

/**
 * A write that is paused after it has checked the table's types, while the attacker creates a cast.
 */
async function castMeanwhile({ name, url, admin }: Attacker, forEach: 'row' | 'statement') {
  await admin.query(`create type trap as enum ('a'); create type pair as (n int, trap trap);
    create table bait (id int primary key, trap trap, pair pair)`);
  await createTrigger(admin, 'bait', { forEach });
  await admin.query(`alter type trap owner to "${name}"; grant all on bait to "${name}"`);
  await withConnection({ url }, (writer) =>
    withConnection({ url }, async (client) => {
      await client.query('select pg_advisory_lock(77)');
      const writing = writer.query(`insert into bait values (1, 'a', '(1,a)')`);
      await until('the writer is held up', () => isHeldUp());
      await client.query(castSql('trap'));
      await client.query('select pg_advisory_unlock(77)');
      await writing;
    }),
  );
}

/** Runs the work with changed functions in the schema. */
async function withChanged(
  changes: Record<string, (definition: string) => string>,
  work: () => Promise<void>,
) {
  const right: string[] = [];
  try {
    for (const [name, change] of Object.entries(changes)) {
      const { rows } = await database.query(
        'select pg_get_functiondef(to_regprocedure($1)) as text',
        [name],
      );
      const text = rows[0].text as string;
      expect(change(text)).not.toBe(text);
      right.push(text);
      await database.query(change(text));
    }
    await work();
  } finally {
    for (const text of right) await database.query(text);
  }
}

// Not by PERFORM, which would set FOUND.
const LOCKED = 'pg_advisory_xact_lock_shared(77)::text is not null';

const heldUp = {
  'notify_data_change()': (text: string) =>
    text
      .replace(/(?= {2}if is_plain and)/, `is_plain := is_plain and ${LOCKED};`)
      .replace(/(?= {4}if writer_xid is null then)/, `is_special := is_special and ${LOCKED};`),
};

/** Trusts types that have no cast yet. */
const byCasts = {
  'pgwatch.type_kind(oid, name)': (text: string) =>
    text.replace("when not pg_has_role(t.typowner, acting_role, 'usage') then 'foreign'", ''),
};

test.each(['row', 'statement'] as const)(
  'a cast created between check and conversion does not run, for each %s',
  async (forEach) => {
    await withChanged(heldUp, () =>
      withAttacker(database, async (attacker) => {
        await castMeanwhile(attacker, forEach);
        expect(await attacker.caught()).toEqual([]);
        const [change] = await changesOf(database, 'bait');
        expect(change?.payload.new_data).toEqual({ id: 1, trap: 'a', pair: { n: 1, trap: 'a' } });
        await database.query(`delete from pgwatch.notification_log`);
      }),
    );
  },
);

test.each(['row', 'statement'] as const)(
  'with a check of casts alone the cast would run, for each %s',
  async (forEach) => {
    await withChanged({ ...heldUp, ...byCasts }, () =>
      withAttacker(database, async (attacker) => {
        await castMeanwhile(attacker, forEach);
        expect(await attacker.caught()).toEqual([`cast to json as ${attacker.admin.user}`]);
      }),
    );
  },
);

test('a transaction with an older snapshot refuses types that were changed since', async () => {
  await withAttacker(database, async ({ name, url, admin: client, caught }) => {
    await client.query(`create type trap as enum ('a'); create type given as enum ('a');
      create table bait (id int primary key, note text);
      create table row_bait (id int primary key, trap trap);
      create table given_bait (id int primary key, given given);
      create table grown (id int primary key);
      create domain word as text; create table changed (id int primary key, word word)`);
    for (const table of ['bait', 'given_bait', 'grown', 'changed'])
      await createTrigger(client, table);
    await createTrigger(client, 'row_bait', { forEach: 'row' });
    await client.query(`alter type trap owner to "${name}"; alter table bait owner to "${name}";
      alter table row_bait owner to "${name}"; alter table changed owner to "${name}";
      grant all on all tables in schema lair to "${name}"`);
    await withConnection({ url }, async (writer) => {
      await writer.query('begin isolation level repeatable read; select count(*) from pg_class');
      await client.query(`alter type given owner to "${name}"; alter table grown add column n int;
        create table created (id int primary key, n int, doc json);
        create table by_hand (id int primary key); create table by_hand_key (id int primary key);
        create trigger rows after insert on by_hand for each row
          execute function notify_data_change();
        create trigger rows after insert on by_hand_key for each row
          execute function notify_data_change('by_hand', '{"id": ["id"]}');
        grant all on created, by_hand, by_hand_key to "${name}"`);
      await withConnection({ url }, (attacker) =>
        attacker.query(`${castSql('trap')}; ${castSql('given')};
          alter table bait add column trap trap;
          alter table changed alter column word type trap using 'a';
          create table later (id int primary key, trap trap);
          create table row_later (id int primary key, trap trap)`),
      );
      for (const table of ['created', 'later']) await createTrigger(client, table);
      await createTrigger(client, 'row_later', { forEach: 'row' });
      for (const write of [
        `insert into bait values (1, 'x', 'a')`,
        `insert into changed values (1, 'a')`,
        `insert into given_bait values (1, 'a')`,
        `insert into later values (1, 'a')`,
        `insert into row_later values (1, 'a')`,
        // Its primary key is not in the arguments, and not in the snapshot.
        'insert into by_hand values (1)',
      ]) {
        await writer.query('savepoint s');
        await expect(writer.query(write), write).rejects.toMatchObject({ code: '40001' });
        await writer.query('rollback to s');
      }
      await writer.query(
        `insert into row_bait values (1, 'a'); insert into grown values (1, 2);
         insert into created values (1, 2, '"\\u0000"'); insert into by_hand_key values (1);
         commit`,
      );
    });
    expect(await caught()).toEqual([]);
    const [trapped] = await changesOf(database, 'row_bait');
    expect(trapped?.payload.new_data).toEqual({ id: 1, trap: 'a' });
    const [grown] = await changesOf(database, 'grown');
    expect(grown?.payload.new_data).toEqual({ id: 1, n: 2 });
    const [created] = await changesOf(database, 'created');
    expect(created?.payload.new_data).toEqual({ id: 1, n: 2, doc: '\ufffd' });
    expect(await changesOf(database, 'by_hand_key')).toHaveLength(1);
  });
});

test.each(['created', 'replaced'])(
  'a cast that was %s after the snapshot does not run if its function is not trusted',
  async (how) => {
    await withAttacker(database, async ({ name, url, admin, caught }) => {
      await admin.query(`create type given as enum ('a');
        create table given_bait (id int primary key, given given, many given[]);
        create function trusted(given) returns json language sql return '"trusted"'::json;
        grant all on given_bait to "${name}"`);
      if (how === 'replaced') await admin.query(castTo('trusted'));
      await createTrigger(admin, 'given_bait');
      const insert = `insert into given_bait values (1, 'a', '{a}')`;
      await withConnection({ url }, async (writer) => {
        await writer.query(castSql('given').split(/(?=create cast)/)[0] ?? '');
        await writer.query(`begin isolation level repeatable read; ${insert}; rollback`);
        await writer.query('begin isolation level repeatable read; select');
        await admin.query(`drop cast if exists (given as json); ${castTo('spring')}`);
        await expect(writer.query(insert)).rejects.toMatchObject({ code: '40001' });
        await writer.query(`rollback; begin isolation level repeatable read; ${insert}; commit`);
      });
      expect(await caught()).toEqual([]);
      const [change] = await changesOf(database, 'given_bait');
      expect(change?.payload.new_data).toEqual({ id: 1, given: 'a', many: ['a'] });
      await database.query('delete from pgwatch.notification_log');
    });
  },
);

const castTo = (name: string) => `create cast (given as json) with function ${name}(given)`;

test('a trusted cast that has not changed since the snapshot is used', async () => {
  await withAttacker(database, async ({ admin, url, name }) => {
    await admin.query(`create type given as enum ('a');
      create table given_bait (id int primary key, given given);
      create function trusted(given) returns json language sql return '"trusted"'::json;
      ${castTo('trusted')}; grant all on given_bait to "${name}"`);
    await createTrigger(admin, 'given_bait');
    await admin.query(`create type shown as enum ('a'); create cast (shown as json) with inout;
      create table shown_bait (id int primary key, shown shown);
      grant all on shown_bait to "${name}"`);
    await createTrigger(admin, 'shown_bait');
    await withConnection({ url }, async (writer) => {
      await writer.query(
        `begin isolation level serializable; insert into shown_bait values (1, 'a');
         insert into given_bait values (1, 'a'); commit`,
      );
    });
    const [change] = await changesOf(database, 'given_bait');
    expect(change?.payload.new_data).toEqual({ id: 1, given: 'trusted' });
    await database.query('delete from pgwatch.notification_log');
  });
});

test('a primary key newer than the snapshot is not guessed by a trigger without id', async () => {
  const [admin, writer] = [await database.connect(), await database.connect()];
  await admin.query(`create table moved (a int not null, b int not null);
    alter table moved add constraint key_a primary key (a);
    create trigger rows after insert on moved for each row execute function notify_data_change()`);
  await writer.query('begin isolation level repeatable read; select');
  await admin.query(`alter table moved drop constraint key_a;
    alter table moved add constraint key_b primary key (b)`);
  await expect(writer.query('insert into moved values (1, 100)')).rejects.toMatchObject({
    code: '40001',
  });
  await writer.query(`rollback; begin isolation level repeatable read;
    insert into moved values (1, 100); commit`);
  expect((await changesOf(database, 'moved')).map(({ key }) => key)).toEqual(['public.moved:100']);
});

/** Two ways in which the trigger that fires differs from the one that the snapshot shows. */
const TRIGGER_CHANGES = [
  (create: string) => `drop trigger t on bare; create trigger ${create}`,
  (create: string) => `create or replace trigger ${create}`,
];

test.each(TRIGGER_CHANGES)(
  "a trigger newer than the snapshot does not read the session's views: %#",
  async (change) => {
    await withAttacker(database, async ({ name, url, admin, caught }) => {
      await admin.query(`grant execute on function notify_data_change() to "${name}"`);
      const call = `for each statement execute function public.notify_data_change('c', '{}')`;
      await withConnection({ url }, (writer) =>
        withConnection({ url }, async (other) => {
          await writer.query(`create table bare (id int primary key);
            create trigger t after insert on bare referencing new table as changed_rows ${call};
            create function spring() returns int language plpgsql
              as $$ begin perform lair.caught('view'); return 1; end $$;
            create temporary view changed_rows as select spring() as id`);
          await writer.query('begin isolation level repeatable read; select');
          await other.query(change(`t after insert on bare ${call}`));
          await expect(writer.query('insert into bare values (2)')).rejects.toMatchObject({
            code: '40001',
          });
          await writer.query('rollback');
          await expect(writer.query('insert into bare values (2)')).rejects.toMatchObject({
            code: 'PW003',
          });
        }),
      );
      expect(await caught()).toEqual([]);
      await admin.query(`revoke execute on function notify_data_change() from "${name}"`);
    });
  },
);

test('with a check by its snapshot alone it would run their functions', async () => {
  const wrong = {
    'pgwatch.table_is_current(oid)': (text: string) =>
      text.replace(/(?<=\$function\$)[\s\S]*(?=\$function\$)/, 'begin return true; end'),
  };
  await withChanged(wrong, () =>
    withAttacker(database, async ({ name, url, admin, caught }) => {
      await admin.query(
        `create type given as enum ('a'); create table bait (id int primary key, given given)`,
      );
      await createTrigger(admin, 'bait');
      await admin.query(`grant all on bait to "${name}"`);
      await withConnection({ url }, async (writer) => {
        await writer.query('begin isolation level repeatable read; select count(*) from pg_class');
        await admin.query(`alter type given owner to "${name}"`);
        await withConnection({ url }, (attacker) => attacker.query(castSql('given')));
        await writer.query(`insert into bait values (1, 'a'); commit`);
      });
      expect(await caught()).toEqual([`cast to json as ${admin.user}`]);
    }),
  );
});

async function isHeldUp(): Promise<boolean> {
  const { rows } = await database.query(
    `select from pg_locks where locktype = 'advisory' and not granted
     and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows.length > 0;
}
