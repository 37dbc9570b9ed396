import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { withConnection } from '../../src/database/connect.ts';
import { changesOf, shortChangesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { type Attacker, castSql, withAttacker } from '../helpers/hostile-table.ts';

/*
Goal: whom to trust is decided at each write. A table is captured while its owner and the owners of
its types are trusted; what happens to it afterwards must not run another role's function as the
owner of pgwatch.
*/

const database = useDatabase();

/** Tables by how they contain the attacker's type: their columns, and a value. */
const BAITS: Readonly<Record<string, readonly [columns: string, value: string]>> = {
  plain: ['trap trap', 'a'],
  domain: ['trap trap_domain', 'a'],
  array: ['trap trap[]', '{a,NULL}'],
  member: ['trap trap_pair[]', '{"(1,a)"}'],
  range: ['trap trap_range', '[a,b)'],
  later: ['note text', 'x'],
};

const CAPTURES = {
  'for each statement': ({ admin }, name) => createTrigger(admin, name),
  'for each row': ({ admin }, name) => createTrigger(admin, name, { forEach: 'row' }),
  'with options': ({ admin }, name) => createTrigger(admin, name, { payload: 'keys' }),
  'by hand': ({ admin }, name) =>
    admin.query(`create trigger by_hand after insert on ${name}
      referencing new table as changed_rows
      for each statement execute function notify_data_change('c', '{"id": ["id"]}', 'id')`),
} satisfies Record<string, (attacker: Attacker, name: string) => Promise<unknown>>;

test.each(Object.entries(CAPTURES))(
  'no function runs if types change owner after the capture %s',
  async (_, capture) => {
    await withAttacker(database, async (attacker) => {
      const { name, url, admin, caught } = attacker;
      await admin.query(`create type trap as enum ('a', 'b'); create domain trap_domain as trap;
      create type trap_pair as (n int, t trap); create type trap_range as range (subtype = trap)`);
      for (const [bait, [columns]] of Object.entries(BAITS)) {
        await admin.query(`create table bait_${bait} (id int primary key, ${columns})`);
        await capture(attacker, `bait_${bait}`);
        await admin.query(`grant all on bait_${bait} to "${name}"`);
      }
      await admin.query(`alter type trap owner to "${name}";
        alter type trap_range owner to "${name}";
      alter table bait_later owner to "${name}"`);
      await withConnection({ url }, async (client) => {
        await client.query(`${castSql('trap')}; ${castSql('trap_range')};
        alter table bait_later add column trap trap default 'a'`);
        for (const [bait, [, value]] of Object.entries(BAITS)) {
          await client.query(`insert into bait_${bait} values (1, $1), (2, $1)`, [value]);
          await client.query('begin isolation level serializable');
          await client.query(`insert into bait_${bait} values (3, $1)`, [value]);
          await client.query('commit');
        }
      });
      expect(await caught()).toEqual([]);
      const states = await readCaptureStates(admin, database.config);
      expect(
        Object.fromEntries(states.map(({ table }) => [table.name, table.foreignCasts])),
      ).toEqual(
        Object.fromEntries(
          Object.keys(BAITS).map((bait) => [
            `bait_${bait}`,
            [bait === 'range' ? 'trap_range' : 'trap'],
          ]),
        ),
      );
    });
  },
);

test('a role that is no longer a member is no longer trusted', async () => {
  await withAttacker(database, async ({ name, url, admin: client, caught }) => {
    await client.query(`create type trap as enum ('a'); alter type trap owner to "${name}";
      create table member_bait (id int primary key, trap trap);
      alter table member_bait owner to "${name}";
      grant "${client.user}" to "${name}"`);
    await createTrigger(client, 'member_bait');
    await withConnection({ url }, async (attacker) => {
      await attacker.query(`${castSql('trap')};
        insert into member_bait values (1, 'a')`);
      await client.query(
        `truncate calls_seen; alter sequence calls restart; revoke "${client.user}" from "${name}"`,
      );
      await attacker.query(`insert into member_bait values (2, 'a')`);
    });
    expect(await caught()).toEqual([]);
    const changes = await changesOf(database, 'member_bait');
    expect(changes.map(({ payload }) => payload.new_data)).toEqual([
      { id: 1, trap: 1 },
      { id: 2, trap: 'a' },
    ]);
  });
});

test("a trigger without transition tables does not read the session's views instead", async () => {
  await withAttacker(database, async ({ name, url, admin: client, caught }) => {
    await client.query(`grant execute on function notify_data_change() to "${name}"`);
    await withConnection({ url }, async (attacker) => {
      await attacker.query(`create table bare (id int primary key);
        create function spring() returns int language plpgsql
          as $$ begin perform lair.caught('view'); return 1; end $$;
        create temporary view changed_rows as select spring() as id;
        create temporary view new_rows as select spring() as id;
        create temporary view old_rows as select spring() as id`);
      for (const args of [`'c', '{"id": ["id"]}', 'id'`, `'c'`]) {
        await attacker.query(`create or replace trigger t after insert or update on bare
          for each statement execute function public.notify_data_change(${args})`);
        for (const write of ['insert into bare values (1)', 'update bare set id = 2']) {
          await expect(attacker.query(write)).rejects.toMatchObject({ code: 'PW003' });
        }
      }
      // A role that has such a view for another purpose is captured as usual.
      await attacker.query(`create trigger u after delete on bare
        referencing old table as changed_rows
        for each statement execute function public.notify_data_change('c', '{"id": ["id"]}',
          'id')`);
      await attacker.query(
        'alter table bare disable trigger t; insert into bare values (7); delete from bare',
      );
    });
    expect(await caught()).toEqual([]);
    expect(await shortChangesOf(database, 'bare')).toEqual(['DELETE 7']);
    await client.query(`revoke execute on function notify_data_change() from "${name}"`);
  });
});
