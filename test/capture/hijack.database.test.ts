import { expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { captureTable, changesOf, shortChangesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';

/*
Goal: the owner of a type of a captured table's column cannot run code with the function's rights.
*/

const database = useDatabase();

test.each(['statement', 'row'] as const)(
  'a cast to json by another role does not run as the owner of pgwatch: for each %s',
  async (forEach) => {
    const { name, url } = await createRole(database, 'attacker');
    const table = `bait_${forEach}`;
    await database.query(
      `create table caught_${forEach} (who text); grant all on caught_${forEach} to public`,
    );
    await database.query(`grant create on schema public to "${name}"`);
    await withConnection({ url }, async (attacker) => {
      await attacker.query(`create type trap_${forEach} as enum ('a');
        create function spring(trap_${forEach}) returns json language plpgsql as $$
          begin insert into public.caught_${forEach} values (current_user); return '1'; end $$;
        create cast (trap_${forEach} as json) with function spring(trap_${forEach})`);
    });
    await captureTable(
      database,
      table,
      `id int primary key, trap trap_${forEach}, nested trap_${forEach}[]`,
      { forEach },
    );
    await database.query(`grant all on ${table} to "${name}"`);
    await withConnection({ url }, (attacker) =>
      attacker.query(`insert into ${table} values (1, 'a', '{a}')`),
    );
    const [change] = await changesOf(database, table);
    expect(change?.payload.new_data).toEqual({ id: 1, trap: 'a', nested: ['a'] });
    const { rows } = await database.query(`select who from caught_${forEach}`);
    expect(rows).toEqual([]);
    // Other tables are captured as usual.
    await captureTable(database, `other_${forEach}`, 'id int primary key', { forEach });
    await database.query(`insert into other_${forEach} values (1)`);
    await database.query(`update other_${forEach} set id = 2`);
    expect(await shortChangesOf(database, `other_${forEach}`)).toEqual([
      'INSERT 1',
      'DELETE 1',
      'INSERT 2',
    ]);
  },
);

test('a cast by the owner, or by a superuser, is used', async () => {
  await database.query(`create type fine as enum ('a');
    create function spell(fine) returns json language sql as $$ select '{"spelt": 1}'::json $$;
    create cast (fine as json) with function spell(fine)`);
  await captureTable(database, 'cast_well', 'id int primary key, fine fine');
  await database.query(`insert into cast_well values (1, 'a')`);
  expect(await changesOf(database, 'cast_well')).toMatchObject([
    { payload: { new_data: { id: 1, fine: { spelt: 1 } } } },
  ]);
});
