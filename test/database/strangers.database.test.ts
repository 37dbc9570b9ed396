import type { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { connect } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import {
  bootstrapSql,
  grantSql,
  migrationSql,
  readMigrations,
} from '../../src/database/migrations.ts';
import { createEmptyDatabase, type EmptyDatabase } from '../helpers/cluster.ts';
import { findingsOf } from '../helpers/doctor.ts';
import { createRole } from '../helpers/role.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: only the owner and the roles of the config have privileges on our objects, whoever granted
others, and on what a daemon creates later; doctor names all other roles.
Method: databases as managed platforms set them up, and manual grants.
*/

/** Every privilege of a role that is neither the owner nor excepted. */
async function privilegesOf({ query }: EmptyDatabase, except: string[] = []): Promise<string[]> {
  const { rows } = await query(
    `with held as (
       select 'schema' as name, nspowner as owner, nspacl as acl
       from pg_namespace where nspname = 'pgwatch'
       union all
       select relname, relowner, relacl from pg_class where relnamespace = 'pgwatch'::regnamespace
       union all
       select c.relname || '.' || attname, relowner, attacl
       from pg_attribute join pg_class as c on c.oid = attrelid
       where relnamespace = 'pgwatch'::regnamespace
       union all
       select proname, proowner, coalesce(proacl, acldefault('f', proowner)) from pg_proc
       where pronamespace = 'pgwatch'::regnamespace
         or proname in ('smart_notify', 'notify_data_change')
       union all
       select typname, typowner, typacl from pg_type where typnamespace = 'pgwatch'::regnamespace)
     select format('%s: %s %s', case grantee when 0 then 'public' else grantee::regrole::text end,
       privilege_type, name) as text
     from held, aclexplode(acl)
     where grantee <> owner and not coalesce(grantee::regrole::text = any($1), false)`,
    [except.map((name) => `"${name}"`)],
  );
  return rows.map(({ text }) => text);
}

async function withoutPartitions({ query }: EmptyDatabase): Promise<void> {
  await query(`do $$ declare name text; begin
    for name in select i.inhrelid::regclass from pg_inherits as i
      where i.inhparent = 'pgwatch.notification_log'::regclass
        and i.inhrelid::regclass::text !~ 'default'
    loop execute 'drop table ' || name; end loop; end $$`);
}

const DEFAULTS = {
  'everywhere in the database': [
    'alter default privileges grant all on tables to ROLE',
    'alter default privileges grant all on sequences to ROLE',
    'alter default privileges grant execute on functions to ROLE',
    'alter default privileges grant all on types to ROLE',
    'alter default privileges grant all on schemas to ROLE',
  ],
  'in both schemas, with grant option': [
    'create schema pgwatch',
    'alter default privileges in schema pgwatch, public ' +
      'grant all on tables to ROLE with grant option',
    'alter default privileges in schema pgwatch, public ' +
      'grant all on sequences to ROLE with grant option',
    'alter default privileges in schema pgwatch, public ' +
      'grant execute on functions to ROLE with grant option',
  ],
  'for PUBLIC': [
    'alter default privileges grant all on tables to public',
    'alter default privileges grant all on sequences to public',
    'alter default privileges grant all on schemas to public',
  ],
};

describe('default privileges', () => {
  test.each(some(Object.entries(DEFAULTS)))(
    '%s grant no role anything of ours',
    async (_, statements) => {
      const database = await createEmptyDatabase();
      const { name, url } = await createRole(database, 'anon');
      for (const statement of statements) {
        await database.query(statement.replace('ROLE', `"${name}"`));
      }
      const config = await database.configWith({});
      await migrateUp(database.client, config);
      expect(await privilegesOf(database)).toEqual([]);
      await withoutPartitions(database);
      const { rows } = await database.query(`select pgwatch.log_partition_create('hour', 2)`);
      expect(rows).toHaveLength(3);
      expect(await privilegesOf(database)).toEqual([]);
      await refuses(url, [
        `select public.smart_notify('x')`,
        'select * from pgwatch.notification_log_default',
        'truncate pgwatch.notification_log',
      ]);
      const problems = await findingsOf(config, 'privileges');
      expect(problems.filter((text) => text.startsWith('problem'))).toEqual([]);
      if (statements[0] !== 'create schema pgwatch') return;
      expect(problems).toEqual([
        expect.stringMatching(/^note: Objects .* are open to "Test anon .*"/),
      ]);
    },
  );

  test('leave the roles of the config their privileges, and no more', async () => {
    const database = await createEmptyDatabase();
    const reader = await createRole(database, 'reading');
    await database.query(`alter default privileges grant all on tables to "${reader.name}"`);
    const config = await database.configWith({ roles: { read: [reader.name] } });
    await migrateUp(database.client, config);
    expect(await findingsOf(config, 'privileges')).toEqual([]);
    await refuses(reader.url, [
      'delete from pgwatch.delivery',
      'truncate pgwatch.notification_log',
    ]);
  });

  test('do not affect the SQL that "pgwatch migrate sql" prints', async () => {
    const database = await createEmptyDatabase();
    const { name } = await createRole(database, 'anon');
    await database.query(`alter default privileges grant all on tables to "${name}"`);
    await database.query(`alter default privileges grant all on functions to "${name}"`);
    const config = await database.configWith({});
    const parts = [bootstrapSql(config), ...readMigrations().map((m) => migrationSql(m, config))];
    for (const part of parts) {
      await database.query(`begin;${part};commit;`);
      expect(await privilegesOf(database)).toEqual([]);
    }
    await database.query(`begin;${grantSql(config)};commit;`);
  });
});

const GRANTED: Record<string, (role: string, other: string) => string[]> = {
  'on a table, passed on by grant option': (role, other) => [
    `grant select on pgwatch.delivery to ${role} with grant option`,
    `grant usage on schema pgwatch to ${role}; set role ${role};
     grant select on pgwatch.delivery to ${other}; reset role`,
  ],
  'on a column': (role) => [`grant update (payload) on pgwatch.notification_log to ${role}`],
  'on a partition': (role) => [`grant select on pgwatch.notification_log_default to ${role}`],
  'on a sequence': (role) => [`grant usage on sequence pgwatch.lease_lease_id_seq to ${role}`],
  'on a view': (role) => [`grant delete on pgwatch.live_daemon to ${role}`],
  'to create in the schema': (role) => [`grant create on schema pgwatch to ${role}`],
  'on a function of the schema': (role) => [
    `grant execute on function pgwatch.log_gap_tell(jsonb) to ${role}`,
  ],
  'on a public function': (role) => [`grant execute on function notify_data_change to ${role}`],
  'on a type': (role) => [`grant usage on type pgwatch.delivery to ${role}`],
};

describe('a manual grant', () => {
  test.each(some(Object.entries(GRANTED)))(
    '%s is found, and migrate revokes it',
    async (_, grants) => {
      const database = await createEmptyDatabase();
      const [role, other] = [
        await createRole(database, 'one'),
        await createRole(database, 'other'),
      ];
      const config = await database.configWith({});
      await migrateUp(database.client, config);
      for (const sql of grants(`"${role.name}"`, `"${other.name}"`)) await database.query(sql);
      expect((await findingsOf(config, 'privileges'))[0]).toMatch(
        new RegExp(
          `^problem: Role "${role.name}" has privileges that the config does not grant: .`,
        ),
      );
      await migrateUp(database.client, config);
      expect(await findingsOf(config, 'privileges')).toEqual([]);
      expect(await privilegesOf(database)).toEqual([]);
    },
  );

  test('to a role no longer in the config is found with its members, and revoked', async () => {
    const database = await createEmptyDatabase();
    const [role, member] = [
      await createRole(database, 'gone'),
      await createRole(database, 'member'),
    ];
    await database.query(`grant "${role.name}" to "${member.name}"`);
    await migrateUp(
      database.client,
      await database.configWith({ roles: { consume: [role.name] } }),
    );
    const config = await database.configWith({ roles: { read: [] } });
    expect(await findingsOf(config, 'privileges')).toEqual([
      expect.stringContaining(`its members "${member.name}" have them, too.`),
    ]);
    await migrateUp(database.client, config);
    expect(await privilegesOf(database)).toEqual([]);
    await refuses(member.url, ['select * from pgwatch.delivery']);
  });
});

test.each(
  some([
    ['a function', 'alter function smart_notify(text, jsonb, text, uuid) owner to ROLE'],
    ['a table', 'alter table pgwatch.delivery owner to ROLE'],
    ['a partition', 'alter table pgwatch.notification_log_default owner to ROLE'],
    ['the schema', 'alter schema pgwatch owner to ROLE'],
  ]),
)('%s that belongs to another role is found', async (_, change) => {
  const database = await createEmptyDatabase();
  const config = await migrated(database);
  const { name } = await createRole(database, 'owner');
  await database.query(change.replace('ROLE', `"${name}"`));
  expect((await findingsOf(config, 'privileges'))[0]).toMatch(`problem: Role "${name}" owns `);
});

async function migrated(database: EmptyDatabase): Promise<Config> {
  const config = await database.configWith({});
  await migrateUp(database.client, config);
  return config;
}

async function refuses(url: string, statements: readonly string[]): Promise<void> {
  const client: Client = await connect({ url });
  try {
    for (const statement of statements) {
      await expect(client.query(statement), statement).rejects.toThrow(/permission denied/);
    }
  } finally {
    await client.end();
  }
}
