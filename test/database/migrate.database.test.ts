import { expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import {
  migrateUp,
  readMigrationStates,
  requireCurrentSchema,
} from '../../src/database/migrate.ts';
import { readMigrations } from '../../src/database/migrations.ts';
import { readFootprint, uninstall } from '../../src/database/uninstall.ts';
import { requireOwnCluster } from '../../src/log/origin.ts';
import { notify } from '../../src/log/publish.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { startTailing } from '../helpers/daemon.ts';
import { createRole } from '../helpers/role.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const ALL = readMigrations().map(({ number }) => number);

test('migrations are numbered from 1 without a gap', () => {
  expect(ALL).toEqual(ALL.map((_, index) => index + 1));
});

test('an empty database gets all migrations; a second run does nothing', async () => {
  const { client, configWith } = await createEmptyDatabase();
  const config = await configWith({});
  expect((await readMigrationStates(client, config)).map(({ state }) => state)).toEqual(
    ALL.map(() => 'pending'),
  );
  await expect(requireCurrentSchema(client, config)).rejects.toMatchObject({
    code: 'schema_missing',
  });
  expect((await migrateUp(client, config)).map(({ number }) => number)).toEqual(ALL);
  const states = await readMigrationStates(client, config);
  expect(states.every(({ state, appliedAt }) => state === 'applied' && appliedAt)).toBe(true);
  await requireCurrentSchema(client, config);
  expect(await migrateUp(client, config)).toEqual([]);
  expect(await readMigrationStates(client, config)).toEqual(states);
});

test('20 concurrent runs on an empty database succeed, and each migration runs once', async () => {
  const { url, configWith } = await createEmptyDatabase();
  const config = await configWith({});
  const runs = Array.from({ length: 20 }, () =>
    withConnection({ url }, (client) => migrateUp(client, config)),
  );
  const applied = (await Promise.all(runs)).flat().map(({ number }) => number);
  expect(applied.sort((a, b) => a - b)).toEqual(ALL);
});

test('a run that dies halfway leaves whole migrations, and the next one continues', async () => {
  const { client, configWith, url } = await createEmptyDatabase();
  const config = await configWith({});
  await migrateUp(client, config);
  // What the last migration created: functions for cleanup.
  await client.query(`
    do $$
    declare
      made regprocedure;
    begin
      for made in
        select oid from pg_proc where pronamespace = 'pgwatch'::regnamespace
            and (proname ~ '^(cleanup_|published_)' or proname ~ '^log_'
              and proname not in ('log_partition_create', 'log_rebase', 'log_is_settled',
                'log_origin_state', 'log_keep_ids'))
      loop
        execute 'drop function ' || made;
      end loop;
    end $$`);
  await client.query('delete from pgwatch.migration where number = $1', [ALL.length]);
  await expect(requireCurrentSchema(client, config)).rejects.toMatchObject({
    code: 'schema_outdated',
    message: 'The database lacks 1 migration (cleanup). Run "pgwatch migrate".',
  });
  const applied = await withConnection({ url }, (other) => migrateUp(other, config));
  expect(applied.map(({ number }) => number)).toEqual([ALL.length]);
});

test('a migration that fails is rolled back and reported by name', async () => {
  const { client, configWith } = await createEmptyDatabase();
  const config = await configWith({});
  await client.query(`create function guard() returns event_trigger language plpgsql as $$ begin
    if exists (select from pg_catalog.pg_event_trigger_ddl_commands()
      where object_identity like '%smart_notify%')
    then raise exception 'Not this one.'; end if; end $$`);
  await client.query('create event trigger guard on ddl_command_end execute function guard()');
  await expect(migrateUp(client, config)).rejects.toMatchObject({
    code: 'migration_failed',
    message: expect.stringMatching(
      /^Migration 3 "publish" failed and was rolled back: Not this one\. Event trigger guard /,
    ),
  });
  const { rows } = await client.query('select max(number) as number from pgwatch.migration');
  expect(rows).toEqual([{ number: 2 }]);
});

test('a migration that was changed after it ran is refused, and can be uninstalled', async () => {
  const { client, configWith } = await createEmptyDatabase();
  const config = await configWith({});
  await migrateUp(client, config);
  await client.query(`update pgwatch.migration set hash = 'other' where number = 2`);
  for (const work of [migrateUp, requireCurrentSchema]) {
    await expect(work(client, config)).rejects.toMatchObject({
      code: 'schema_outdated',
      message: expect.stringMatching(/^Migration 2 "consumers" is not the one that ran/),
    });
  }
  await readFootprint(client, config);
  await uninstall(client, config);
  expect(await migrateUp(client, config)).toHaveLength(ALL.length);
});

test('a database that a newer program migrated is refused, and not uninstalled', async () => {
  const { client, configWith } = await createEmptyDatabase();
  const config = await configWith({});
  await migrateUp(client, config);
  await client.query(`insert into pgwatch.migration values (9999, 'future', 'hash')`);
  for (const work of [migrateUp, requireCurrentSchema, readFootprint]) {
    await expect(work(client, config)).rejects.toMatchObject({ code: 'schema_too_new' });
  }
  const states = await readMigrationStates(client, config);
  expect(states.at(-1)).toMatchObject({ number: 9999, name: 'future', state: 'unknown' });
});

test('pgwatch does not install into a schema that holds other objects', async () => {
  const { client, configWith } = await createEmptyDatabase();
  await client.query('create schema busy; create table busy.mine (hash text)');
  await expect(migrateUp(client, await configWith({ schema: 'busy' }))).rejects.toMatchObject({
    code: 'config_invalid',
    message:
      'Schema "busy" already contains other objects, but pgwatch needs its own schema. ' +
      'Set the option schema to another name.',
  });
  await client.query('create schema vacant');
  expect(await migrateUp(client, await configWith({ schema: 'vacant' }))).toHaveLength(ALL.length);
});

test.each(
  some([
    [
      { apiSchema: 'nowhere' },
      new RegExp(
        '^Creating schema "pgwatch" failed and was rolled back: ' +
          'schema .*nowhere.* does not exist\\. ' +
          'Create that schema, or name another with the option apiSchema\\.$',
      ),
    ],
    [
      { roles: { read: ['No Such Role'] } },
      new RegExp(
        '^Granting the roles of the config failed and was rolled back: ' +
          'role "No Such Role" does not exist\\. ' +
          'Create that role, or correct roles in the config\\.$',
      ),
    ],
  ]),
)('migrating with %j fails with a remedy', async (options, message) => {
  const { client, configWith } = await createEmptyDatabase();
  await expect(migrateUp(client, await configWith(options))).rejects.toMatchObject({
    code: 'migration_failed',
    message: expect.stringMatching(message),
  });
});

test.each(
  some([
    ['Watch It', 'Api'],
    [`it's "quoted"`, `api's "own"`],
    ['🔔 bell', '🔔'],
    ['back\\slash', '%I $1'],
    ['same', 'same'],
    ['x'.repeat(63), 'public'],
  ]),
)('schemas named %j and %j work from publishing to delivery', async (schema, apiSchema) => {
  const { client, configWith } = await createEmptyDatabase();
  const config = await configWith({ schema, apiSchema, reconnectDelay: '20ms' });
  const api = client.escapeIdentifier(apiSchema);
  await client.query(`create schema if not exists ${api}`);
  await migrateUp(client, config);
  await requireOwnCluster(client, config);
  await client.query(`create table t (id int primary key);
      create trigger c after insert on t
        for each row execute function ${api}.notify_data_change('ch')`);

  const seen: unknown[] = [];
  const daemon = await startTailing(config, [
    { id: 'all', channels: ['ch'], handle: (n) => seen.push(n.change?.table ?? n.payload) },
  ]);
  try {
    await notify(client, 'ch', 'published', { apiSchema });
    await client.query('insert into t values (1)');
    await until('both arrive', () => seen.length === 2);
    expect(seen).toEqual(['published', 't']);
  } finally {
    await daemon.stop();
  }
  const view = `${client.escapeIdentifier(schema)}.notification`;
  const { rows } = await client.query(`select count(*)::int from ${view}`);
  expect(rows).toEqual([{ count: 2 }]);
  await uninstall(client, config);
  expect(await readMigrationStates(client, config)).toMatchObject(
    ALL.map(() => ({ state: 'pending' })),
  );
});

test('two installations in one database are independent', async () => {
  const { client, configWith } = await createEmptyDatabase();
  const configs = [
    await configWith({ schema: 'one', apiSchema: 'one' }),
    await configWith({ schema: 'two', apiSchema: 'two' }),
  ] as const;
  for (const config of configs) await migrateUp(client, config);
  await notify(client, 'ch', 1, { apiSchema: 'one' });
  await uninstall(client, configs[1]);
  expect(await readFootprint(client, configs[0])).toMatchObject({ notifications: 1 });
});

test('an ordinary owner of the database can install, publish and uninstall', async () => {
  const database = await createEmptyDatabase();
  const { name, url } = await createRole(database, 'owner');
  await database.query(`alter database ${new URL(url).pathname.slice(1)} owner to "${name}"`);
  const config = await database.configWith({
    roles: { publish: [name], consume: [name], read: [name] },
  });
  await withConnection({ url }, async (owner) => {
    expect(await migrateUp(owner, config)).toHaveLength(ALL.length);
    await notify(owner, 'ch', 1);
    expect(await readFootprint(owner, config)).toMatchObject({ notifications: 1 });
    await uninstall(owner, config);
  });
  await database.query(`reassign owned by "${name}" to current_user`);
});

test('uninstalling leaves nothing, not even triggers, and removes nothing else', async () => {
  const database = await createEmptyDatabase();
  const { client, configWith } = database;
  const { name } = await createRole(database, 'any');
  const objects = async () =>
    (
      await client.query(
        `select classid::regclass, objid, objsubid from pg_depend
         union select 'pg_proc'::regclass, oid, 0 from pg_proc
         union select 'pg_namespace'::regclass, oid, 0 from pg_namespace
           where nspname !~ '^pg_(toast_)?temp'
         union select 'pg_trigger'::regclass, oid, 0 from pg_trigger
         union select classid, objid, objsubid from pg_shdepend
           where dbid = (select oid from pg_database where datname = current_database())
         order by 1, 2, 3`,
      )
    ).rows;
  await client.query('create table "My table" (id int primary key)');
  const before = await objects();
  const config = await configWith({ roles: { publish: [name], consume: [name], read: [name] } });
  await migrateUp(client, config);
  await client.query(`create trigger c after insert on "My table"
    for each row execute function notify_data_change()`);
  await client.query('insert into "My table" values (1)');
  expect(await readFootprint(client, config)).toEqual({
    notifications: 1,
    consumers: 0,
    triggered_tables: ['"My table"'],
  });
  await uninstall(client, config);
  expect(await objects()).toEqual(before);
  await client.query('insert into "My table" values (2)');
  await expect(readFootprint(client, config)).rejects.toMatchObject({ code: 'schema_missing' });
});

test('uninstalling fails with an error if other objects depend on the functions', async () => {
  const { client, configWith } = await createEmptyDatabase();
  const config = await configWith({});
  await migrateUp(client, config);
  await client.query(`create view mine as select smart_notify('x') as id`);
  await expect(uninstall(client, config)).rejects.toMatchObject({
    code: 'migration_failed',
    message: expect.stringMatching(
      new RegExp(
        '^Uninstalling failed and was rolled back: .* view mine depends on .*\\. ' +
          'Drop what depends on it first\\.$',
      ),
    ),
  });
});

test.each(
  some([
    ['view mine', 'create view mine as select id from pgwatch.notification'],
    ['materialized view mine', 'create materialized view mine as select * from pgwatch.delivery'],
    ['column row of table mine', 'create table mine (id int, row pgwatch.notification_log)'],
    [
      'default value for column class of table mine',
      'create table mine (class int default pgwatch.doorbell_class())',
    ],
    [
      'function mine(pgwatch.delivery)',
      `create function mine(pgwatch.delivery) returns int language sql return 1`,
    ],
    [
      'publication of table pgwatch.delivery in publication mine',
      'create publication mine for table pgwatch.delivery',
    ],
    ['table pgwatch.mine', 'create table pgwatch.mine (id int)'],
    ['sequence pgwatch.mine', 'create sequence pgwatch.mine'],
    ['function pgwatch.mine()', 'create function pgwatch.mine() returns int return 1'],
    ['type pgwatch.mine', `create type pgwatch.mine as enum ('a')`],
    [
      'collation pgwatch.mine, column name of table kept',
      `create collation pgwatch.mine from "C"; create table kept (name text collate pgwatch.mine)`,
    ],
  ]),
)('uninstalling does not drop what others made of the schema: %s', async (name, sql) => {
  const { client, configWith } = await createEmptyDatabase();
  const config = await configWith({});
  await migrateUp(client, config);
  await client.query(sql);
  const refused = {
    code: 'migration_failed',
    message: expect.stringContaining(`use objects of it: ${name}. Drop, move`),
  };
  await expect(readFootprint(client, config)).rejects.toMatchObject(refused);
  await expect(uninstall(client, config)).rejects.toMatchObject(refused);
});
