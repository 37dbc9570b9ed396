import { expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';

const database = useDatabase();

test('every function pins its search path or is bound to what it calls', async () => {
  const { rows } = await database.query(
    `select p.oid::regprocedure::text as name from pg_proc as p
     where (pronamespace = 'pgwatch'::regnamespace
       or proname in ('smart_notify', 'smart_notify_many', 'notify_data_change'))
       and not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false)
       and (prosecdef or prosqlbody is null)`,
  );
  expect(rows).toEqual([]);
});

/** Replaces functions and operators wherever a search path allows it, and records the caller. */
const TRAPS = ['public', 'pg_temp'].flatMap((schema) => [
  `create function ${schema}.tell(call text) returns void language plpgsql as $$ begin
     insert into public.caught values (call, current_user); end $$`,
  `create function ${schema}.concat_ws(text, bigint, xid8, bigint) returns text language sql
     as $$ select ${schema}.tell('concat_ws'); select 'trap' $$`,
  `create function ${schema}.octet_length(text) returns int language sql
     as $$ select ${schema}.tell('octet_length'); select 1 $$`,
  `create function ${schema}.hashtext(text) returns int language sql
     as $$ select ${schema}.tell('hashtext'); select 1 $$`,
  `create function ${schema}.current_setting(text, boolean) returns text language sql
     as $$ select ${schema}.tell('current_setting'); select 'always' $$`,
  `create function ${schema}.pg_notify(text, text) returns void language sql
     as $$ select ${schema}.tell('pg_notify') $$`,
  `create function ${schema}.format(text, bigint, numeric) returns text language sql
     as $$ select ${schema}.tell('format'); select '' $$`,
  `create function ${schema}.equals(text, text) returns boolean language sql
     as $$ select ${schema}.tell('='); select true $$`,
  `create operator ${schema}.= (leftarg = text, rightarg = text, function = ${schema}.equals)`,
  `create function ${schema}.joins(text, jsonb) returns text language sql
     as $$ select ${schema}.tell('||'); select '' $$`,
  `create operator ${schema}.|| (leftarg = text, rightarg = jsonb, function = ${schema}.joins)`,
  `create domain ${schema}.xid8 as text`,
  `create domain ${schema}.jsonb as text`,
]);

test("a publisher's own functions, operators and tables do not affect ours", async () => {
  const { name, url } = await createRole(database, 'attacker');
  const config = {
    ...database.config,
    roles: { publish: [name], consume: [], read: [name], capture: [] },
  };
  await withConnection(config, (client) => migrateUp(client, config));
  await database.query(`create table caught (call text, who text); grant all on caught to public`);
  await database.query(`grant create on schema public to "${name}"`);
  await database.query('create table watched (id int primary key)');
  await database.query(
    `create trigger c after insert on watched for each row execute function notify_data_change()`,
  );
  await database.query(`grant all on watched to "${name}"`);
  const use = `select id, event_id, payload from pgwatch.notification order by id`;

  await withConnection({ url }, async (attacker) => {
    for (const trap of TRAPS) await attacker.query(trap);
    await attacker.query('create temporary table notification_log (like public.caught)');
    await attacker.query('create temporary table pg_class (like public.caught)');
    await attacker.query('set search_path = pg_temp, public, pg_catalog');
    await attacker.query(`select
      public.smart_notify('ch', pg_catalog.jsonb_build_object('a', 1), 'k'),
      public.smart_notify('ch', pg_catalog.jsonb_build_object('a', 1), 'k',
        pg_catalog.gen_random_uuid()),
      public.smart_notify_many('{ch}', array[pg_catalog.jsonb_build_object('a', 1)], '{k}',
        array[pg_catalog.gen_random_uuid()])`);
    await attacker.query('insert into public.watched values (1)');
    await attacker.query(use);
  });
  const { rows: caught } = await database.query(
    'select call, who from caught where who = current_user',
  );
  expect(caught).toEqual([]);
  const { rows } = await database.query(use);
  expect(rows.map(({ payload }) => payload.a ?? payload.action)).toEqual([1, 1, 1, 'INSERT']);
  for (const { event_id } of rows) expect(event_id).toMatch(/^[\da-f-]{36}$/);
});

test('migrating does not build in traps from schema public', async () => {
  const empty = await createEmptyDatabase();
  const { name, url } = await createRole(empty, 'attacker');
  await empty.query('create table caught (call text, who text); grant all on caught to public');
  await empty.query(`grant create on schema public to "${name}"`);
  await withConnection({ url }, async (attacker) => {
    for (const trap of TRAPS.filter((statement) => !statement.includes('pg_temp'))) {
      await attacker.query(trap);
    }
  });
  await migrateUp(empty.client, await empty.configWith({}));
  await empty.query(`select smart_notify('ch')`);
  await empty.query('select event_id from pgwatch.notification');
  expect((await empty.query('select * from caught')).rows).toEqual([]);
});
