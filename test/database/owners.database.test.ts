import { describe, expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp, requireCurrentSchema } from '../../src/database/migrate.ts';
import { bootstrapSql } from '../../src/database/migrations.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { findingsOf } from '../helpers/doctor.ts';
import { createRole } from '../helpers/role.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: a role that could not act as the owner of our functions anyway cannot replace what they call,
whether it was there before the first migration or changed owners later.
*/

const apiSchema = 'api';

/** A database in which a role may create things and becomes the owner of some. */
async function withStranger() {
  const empty = await createEmptyDatabase();
  const stranger = await createRole(empty, 'eve');
  await empty.query('create schema api');
  const config = await empty.configWith({ apiSchema });
  const name = new URL(empty.url).pathname.slice(1);
  return { ...empty, name, config, eve: `"${stranger.name}"` };
}

const BEFORE: Record<string, string> = {
  'the schema': 'create schema pgwatch authorization EVE',
  "the functions' schema": 'alter schema api owner to EVE',
  'the record of migrations': `create schema pgwatch;
    create table pgwatch.migration
      (number int primary key, name text, hash text, applied_at timestamptz);
    alter table pgwatch.migration owner to EVE`,
};
const LATER: Record<string, string> = {
  'the schema': 'alter schema pgwatch owner to EVE',
  'a function': 'alter function pgwatch.doorbell_ring(text) owner to EVE',
  'the trigger function': 'alter function api.notify_data_change() owner to EVE',
  'a function with a name that is not ours': `
    create function pgwatch.doorbell_ring(varchar) returns void language sql as '';
    alter function pgwatch.doorbell_ring(varchar) owner to EVE`,
  'a table': 'alter table pgwatch.delivery owner to EVE',
  'a partition': 'alter table pgwatch.notification_log_default owner to EVE',
  'a view': 'alter view pgwatch.notification owner to EVE',
  'a type': 'create type pgwatch.mood as enum (); alter type pgwatch.mood owner to EVE',
};

describe('migrate refuses', () => {
  test.each(some(Object.entries(BEFORE)))(
    '%s of a role that cannot act as the migrating one, before installing',
    async (_, sql) => {
      const { query, client, config, eve } = await withStranger();
      await query(sql.replaceAll('EVE', eve));
      await expect(migrateUp(client, config)).rejects.toMatchObject({
        code: 'config_invalid',
        message: expect.stringMatching(
          /belongs to role .*eve.* first: alter .* owner to postgres;/,
        ),
      });
      const { rows } = await query(`select to_regclass('pgwatch.notification_log') as log`);
      expect(rows).toEqual([{ log: null }]);
      // The script refuses it, too.
      await expect(query(`begin;${bootstrapSql(config)}`)).rejects.toMatchObject({ code: 'PW003' });
      await query('rollback');
    },
  );

  test('any of its objects that belongs to such a role, on every run', {
    timeout: 120_000,
  }, async () => {
    const { query, client, config, eve } = await withStranger();
    await migrateUp(client, config);
    for (const [what, sql] of Object.entries(LATER)) {
      await query(`begin;${sql.replaceAll('EVE', eve)}`);
      await expect(query(bootstrapSql(config)), what).rejects.toMatchObject({
        message: expect.stringContaining('owner to postgres'),
      });
      await query('rollback');
    }
    await query(`alter schema pgwatch owner to ${eve}`);
    await expect(migrateUp(client, config)).rejects.toMatchObject({ code: 'config_invalid' });
    await query('alter schema pgwatch owner to postgres');
    expect(await migrateUp(client, config)).toEqual([]);
    await query(`alter schema api owner to ${eve}`);
    expect(await findingsOf(config, 'privileges')).toContainEqual(
      expect.stringMatching(/^problem: Role .*eve.* owns schema api; the log belongs to/),
    );
  });

  test('a schema of another owner in which other roles may create objects', async () => {
    const { url, query, config, eve, name } = await withStranger();
    const installer = await createRole({ url, query }, 'installer');
    await query(`create schema pgwatch; grant all on schema pgwatch, api to "${installer.name}";
      grant create on database ${name} to "${installer.name}"`);
    for (const grantee of [eve, 'public']) {
      await query(`grant create on schema pgwatch to ${grantee}`);
      await withConnection({ url: installer.url }, (client) =>
        expect(migrateUp(client, config)).rejects.toMatchObject({
          message: expect.stringContaining(`revoke create on schema pgwatch from ${grantee};`),
        }),
      );
      await query(`revoke create on schema pgwatch from ${grantee}`);
    }
    await withConnection({ url: installer.url }, (client) => migrateUp(client, config));
  });
});

test.each(
  some([
    ['a superuser', 'create schema pgwatch; grant all on schema pgwatch to ME'],
    [
      'a role that has its rights',
      'grant ME to EVE; create schema pgwatch authorization EVE; grant all on schema pgwatch to ME',
    ],
    ['the role itself', 'create schema pgwatch authorization ME'],
    [
      'the owner of the database',
      `create schema pgwatch authorization pg_database_owner;
       grant all on schema pgwatch to ME; DATABASE`,
    ],
  ]),
)('migrate installs into a schema owned by %s', async (_, sql) => {
  const { url, query, config, eve, name } = await withStranger();
  const me = await createRole({ url, query }, 'installer');
  await query(
    `grant all on schema api to "${me.name}"; grant create on database ${name} to "${me.name}"`,
  );
  await query(
    sql
      .replaceAll('ME', `"${me.name}"`)
      .replaceAll('EVE', eve)
      .replaceAll('DATABASE', `alter database ${name} owner to "${me.name}"`),
  );
  await withConnection({ url: me.url }, (client) => migrateUp(client, config));
  await query(`alter database ${name} owner to postgres`);
});

test('a view in place of the record of migrations is not read', async () => {
  const { query, client, config } = await withStranger();
  await query(`create schema pgwatch;
    create function public.run() returns text language plpgsql
      as 'begin raise exception ''it ran''; end';
    create view pgwatch.migration as
      select 1 as number, public.run() as name, '' as hash, now() as applied_at`);
  await expect(requireCurrentSchema(client, config)).rejects.toMatchObject({
    code: 'schema_missing',
  });
});
