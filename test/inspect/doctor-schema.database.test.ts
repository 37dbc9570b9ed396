import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readExpected } from '../../src/database/expected.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { diagnose, findingsOf, ofDatabase } from '../helpers/doctor.ts';
import { createRole } from '../helpers/role.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: the doctor sees every manual change of the schema, and each finding names it.
Method: each test changes one thing in the database of its file, and reverts it.
*/

const database = useDatabase();

/** Changes the database; `back` reverts it after the test. */
let undo: string[] = [];
async function given(sql: string, back: string): Promise<void> {
  undo.push(back);
  await database.query(sql);
}
beforeEach(() => {
  undo = [];
});
afterEach(async () => {
  for (const sql of undo.reverse()) await database.query(sql);
  expect(await findingsOf(database.config, 'drift')).toEqual([]);
});

test('the fix for a missing index is its statement', async () => {
  await given('drop index pgwatch.delivery_key', 'select');
  const { findings } = await diagnose(database.config, 'drift');
  const [{ fix } = { fix: '' }] = findings;
  expect(fix).toMatch(/^drop index if exists .*; create index delivery_key on .* is not null;$/);
  await database.query(fix);
});

test('the expected schema, read from the migrations, is complete', async () => {
  const { tables, functions, indexes, views } = readExpected(database.config);
  const { rows } = await database.query(
    `select
       array(select p.proname::text from pg_proc as p
         where p.pronamespace = 'pgwatch'::regnamespace
           or p.proname in ('smart_notify', 'smart_notify_many', 'notify_data_change')
         order by 1) as functions,
       array(select c.relname::text || '.' || a.attname
         from pg_attribute as a join pg_class as c on c.oid = a.attrelid
         where c.relnamespace = 'pgwatch'::regnamespace and c.relkind in ('r', 'p')
           and not c.relispartition
           and a.attnum > 0 and not a.attisdropped order by 1) as columns,
       array(select c.relname::text from pg_class as c join pg_index as i on i.indexrelid = c.oid
         where c.relnamespace = 'pgwatch'::regnamespace and not i.indisprimary
           and not c.relispartition order by 1) as indexes,
       array(select c.relname::text from pg_class as c
         where c.relnamespace = 'pgwatch'::regnamespace and c.relkind = 'v' order by 1) as views`,
  );
  const columns = tables.flatMap((table) =>
    table.columns.map(({ name }) => `${table.name}.${name}`),
  );
  expect({
    functions: functions.map(({ name }) => name).sort(),
    columns: columns.sort(),
    indexes: indexes.map(({ name }) => name).sort(),
    views: views.map(({ name }) => name).sort(),
  }).toEqual(rows[0]);
  // As many bodies are compared as PostgreSQL stores as text.
  expect(functions.filter(({ body }) => body !== null).length).toBeGreaterThan(15);
});

describe('drift', () => {
  test.each(
    some([
      [
        'a missing column',
        'alter table pgwatch.delivery rename column is_suspect to suspect',
        'alter table pgwatch.delivery rename column suspect to is_suspect',
        'Column delivery.is_suspect (boolean) is missing or altered.',
      ],
      [
        'a column of another type',
        'alter table pgwatch.lease alter column epoch type bigint',
        'alter table pgwatch.lease alter column epoch type integer',
        'Column lease.epoch (integer) is missing or altered.',
      ],
      [
        'a missing index',
        'alter index pgwatch.delivery_due rename to other',
        'alter index pgwatch.other rename to delivery_due',
        'Index delivery_due is missing or altered.',
      ],
      [
        'a missing primary key',
        'alter table pgwatch.published drop constraint published_pkey',
        'alter table pgwatch.published add primary key (event_id)',
        'Primary key of published is missing or altered.',
      ],
      [
        'a table that a crash would empty',
        'alter table pgwatch.delivery set unlogged',
        'alter table pgwatch.delivery set logged',
        'Table pgwatch.delivery is unlogged.',
      ],
      [
        'row-level security',
        'alter table pgwatch.notification_log enable row level security',
        'alter table pgwatch.notification_log disable row level security',
        'Table pgwatch.notification_log has row-level security enabled.',
      ],
      [
        'a function without its search_path',
        'alter function pgwatch.doorbell_ring(text) reset search_path',
        'alter function pgwatch.doorbell_ring(text) set search_path = pg_catalog, pg_temp',
        'Function pgwatch.doorbell_ring was replaced or altered.',
      ],
      [
        'a detached partition',
        'create table pgwatch.notification_log_20200101 (like pgwatch.notification_log)',
        'drop table pgwatch.notification_log_20200101',
        'Table pgwatch.notification_log_20200101 is no longer a partition of the log.',
      ],
    ]),
  )('%s is found', async (_, change, back, what) => {
    await given(change, back);
    expect(await findingsOf(database.config, 'drift')).toEqual([`problem: ${what}`]);
  });

  test('a function with another text is found, and so is a missing one', async () => {
    const { rows } = await database.query(
      `select pg_get_functiondef('pgwatch.doorbell_ring'::regproc) as sql`,
    );
    await given(rows[0].sql.replace('< 0.5', '< 0.9'), rows[0].sql);
    expect(await findingsOf(database.config, 'drift')).toEqual([
      'problem: Function pgwatch.doorbell_ring was replaced or altered.',
    ]);
    await given(
      'alter function pgwatch.channel_check(text) rename to other',
      'alter function pgwatch.other(text) rename to channel_check',
    );
    expect(await findingsOf(database.config, 'drift')).toContain(
      'problem: Function pgwatch.channel_check is missing.',
    );
  });
});

describe('privileges', () => {
  test('privileges of PUBLIC are found', async () => {
    await given(
      `grant select, insert on pgwatch.notification_log to public;
        grant execute on function pgwatch.doorbell_ring(text) to public`,
      `revoke all on pgwatch.notification_log from public;
        revoke all on function pgwatch.doorbell_ring(text) from public`,
    );
    expect(await findingsOf(database.config, 'privileges')).toEqual([
      'problem: PUBLIC (every role) has privileges that the config does not grant: ' +
        'execute on pgwatch.doorbell_ring(text), insert on pgwatch.notification_log, ' +
        'select on pgwatch.notification_log.',
    ]);
  });

  test('a role of the config that lacks something, or does not exist, is found', async () => {
    const role = await createRole(database, 'consuming');
    const config = {
      ...database.config,
      roles: { publish: [], consume: [role.name], read: ['no body'], capture: [] },
    };
    expect(await findingsOf(config, 'privileges')).toEqual([
      expect.stringMatching(
        /^problem: Role "Test consuming .*" .* lacks: usage on pgwatch, select .* and \d+ more\.$/,
      ),
      'problem: Role "no body" in roles.read of the config does not exist.',
    ]);
    const granted = { ...config, roles: { ...config.roles, read: [] } };
    const client = await database.connect();
    await migrateUp(client, granted);
    expect(await findingsOf(granted, 'privileges')).toEqual([]);
  });

  test.each(some(['consume', 'read'] as const))(
    'a role in %s can check everything',
    async (kind) => {
      const role = await createRole(database, kind);
      const roles = { publish: [], consume: [], read: [], capture: [], [kind]: [role.name] };
      const client = await database.connect();
      await migrateUp(client, { ...database.config, roles });
      const { checked } = await diagnose({ ...database.config, roles, url: role.url }, 'all');
      expect(checked.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'problem')).toEqual(
        [],
      );
    },
  );

  test('a revoked part of the granted privileges is named', async () => {
    const role = await createRole(database, 'reading');
    const config = {
      ...database.config,
      roles: { publish: [], consume: [], read: [role.name], capture: [] },
    };
    const client = await database.connect();
    await migrateUp(client, config);
    await client.query(`revoke select (event_id) on pgwatch.published from "${role.name}"`);
    await client.query(`revoke execute on function pgwatch.column_types(oid) from "${role.name}"`);
    expect(await findingsOf(config, 'privileges')).toEqual([
      expect.stringMatching(
        new RegExp(
          /: select on "pgwatch"\."published"\.event_id, execute on /.source +
            /"pgwatch"\."column_types"\(oid\)\.$/.source,
        ),
      ),
    ]);
  });

  test('a role without any rights gets findings, not a crash', async () => {
    const role = await createRole(database, 'nobody');
    const { findings, checked } = await diagnose({ ...database.config, url: role.url }, 'all');
    expect(findings.filter(({ check }) => check === 'schema')).toEqual([
      expect.objectContaining({
        level: 'note',
        what: 'Could not be checked: permission denied for schema pgwatch.',
      }),
    ]);
    expect(checked.find(({ check }) => check === 'consumers')).toEqual({
      check: 'consumers',
      outcome: 'skipped',
      seen: 'this role may not read the schema',
    });
    expect(findings.filter(({ check }) => check === 'transactions')[0]?.what).toMatch(
      /^This role cannot see what \d+ sessions? of other roles are doing\.$/,
    );
  });
});

describe('a schema', () => {
  test('that is missing is one finding, and the rest is checked', async () => {
    const empty = await createEmptyDatabase();
    const config = await empty.configWith({});
    const { findings, checked } = await diagnose(config, 'all');
    expect(ofDatabase(findings)).toEqual([
      expect.objectContaining({
        level: 'problem',
        what: 'pgwatch is not installed: there is no schema "pgwatch".',
      }),
    ]);
    expect(checked.find(({ check }) => check === 'drift')?.outcome).toBe('skipped');
    expect(checked.find(({ check }) => check === 'listen')?.outcome).toBe('ok');
  });

  test.each(
    some([
      [
        'an older',
        `delete from pgwatch.migration where number = 5; drop table pgwatch.delivery cascade;
          drop view pgwatch.live_daemon`,
        'has not run in this database.',
      ],
      [
        'a newer',
        `insert into pgwatch.migration (number, name, hash) values (99, 'future', 'x')`,
        'is from a newer version of pgwatch.',
      ],
      [
        'another',
        `update pgwatch.migration set hash = 'x' where number = 2`,
        'was applied in a different version.',
      ],
    ]),
  )('of %s version is a finding, and nothing crashes', async (_, change, what) => {
    const empty = await createEmptyDatabase();
    const config = await empty.configWith({});
    await migrateUp(empty.client, config);
    await empty.query(change);
    expect(await findingsOf(config, 'schema')).toEqual([expect.stringContaining(what)]);
    const { findings, checked } = await diagnose(config, 'all');
    expect(checked.filter(({ outcome }) => outcome === 'unchecked')).toEqual([]);
    expect(ofDatabase(findings).map(({ check }) => check)).toEqual(['schema']);
  });
});
