import { describe, expect, test } from 'vitest';
import {
  migrateUp,
  readMigrationStates,
  requireCurrentSchema,
} from '../../src/database/migrate.ts';
import { statementsIn } from '../../src/database/statements.ts';
import { readFootprint, uninstall } from '../../src/database/uninstall.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { readPins } from '../../src/log/retention/pins.ts';
import {
  createEmptyDatabase,
  createMigratedDatabase,
  type EmptyDatabase,
} from '../helpers/cluster.ts';
import { startTailing } from '../helpers/daemon.ts';
import { diagnose, ofDatabase } from '../helpers/doctor.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: "pgwatch migrate" restores, or reports in a sentence, whatever partial dumps, test suites and
people remove; nothing that exists is lost.
Method: a captured table, a part removed, migrate, and the path from a write to a handler.
*/

const OURS = `select string_agg(oid::regclass::text, ', ') from pg_class
  where relnamespace = 'pgwatch'::regnamespace and relkind in ('r', 'p') and not relispartition`;

const OF_SCHEMA = ['schema', 'drift', 'privileges', 'partitions'];

/** What is removed, and what doctor's checks of the schema report about it. */
const DAMAGES: Record<string, { sql: string; problem: RegExp; restored: RegExp }> = {
  'the rows of all tables, as by a test suite or in a schema-only dump': {
    sql: `do $$ begin execute 'truncate ' || (${OURS}) || ' restart identity'; end $$`,
    problem: /^schema: The record of migrations in schema "pgwatch" is missing/,
    restored: /^the record of its migrations$/,
  },
  'the record of some migrations': {
    sql: 'delete from pgwatch.migration where number in (2, 5)',
    problem: /^schema: Migration 2 "consumers" has not run/,
    restored: /^the record of its migrations$/,
  },
  'the table of migrations': {
    sql: 'drop table pgwatch.migration',
    problem: /^schema: The record of migrations in schema "pgwatch" is missing/,
    restored: /^the record of its migrations$/,
  },
  'our schema, as in a dump of schema public': {
    sql: 'drop schema pgwatch cascade',
    problem: /^schema: pgwatch is not installed: there is no schema "pgwatch"\.$/,
    restored: /^$/,
  },
  'our schema, but not notify_data_change()': {
    sql: 'drop schema pgwatch cascade; drop function smart_notify(text, jsonb, text, uuid)',
    problem: /^schema: pgwatch is not installed/,
    restored: /^$/,
  },
  'smart_notify(), as in a dump of our schema': {
    sql: 'drop function smart_notify(text, jsonb, text, uuid)',
    problem: /^drift: Function public\.smart_notify is missing\.$/,
    restored: /^function public\.smart_notify$/,
  },
  'a table of deliveries, with its indexes': {
    sql: 'drop table pgwatch.delivery',
    problem: /^drift: Table delivery is missing/,
    restored: /^table pgwatch\.delivery, index pgwatch\.delivery_due, index /,
  },
  'the positions, and everything that depends on their type': {
    sql: 'drop table pgwatch.consumer_progress cascade',
    problem: /^drift: Table consumer_progress is missing/,
    restored: /^table pgwatch\.consumer_progress, function pgwatch\.log_is_settled/,
  },
  'the log': {
    sql: 'drop table pgwatch.notification_log cascade',
    problem: /^drift: Table notification_log is missing/,
    restored:
      /^table pgwatch\.notification_log, .*, partition pgwatch\.notification_log_default, view /,
  },
  'the default partition': {
    sql: 'drop table pgwatch.notification_log_default',
    problem: /^partitions: The log has no default partition/,
    restored: /^partition pgwatch\.notification_log_default$/,
  },
  'the views': {
    sql: 'drop view pgwatch.notification, pgwatch.live_daemon, pgwatch.origin',
    problem: /^drift: View origin is missing/,
    restored: /view pgwatch\.origin, view pgwatch\.notification, view pgwatch\.live_daemon/,
  },
  'the triggers of the positions': {
    sql: `drop trigger consumer_channel_first on pgwatch.consumer_progress;
      drop trigger consumer_channel_change on pgwatch.consumer_progress`,
    problem: /^drift: Trigger consumer_channel_first of consumer_progress is missing\.$/,
    restored: /^trigger consumer_channel_first of .*, trigger consumer_channel_change of [\w.]+$/,
  },
  'a trigger of the log, which is disabled': {
    sql: 'alter table pgwatch.notification_log disable trigger log_keep_ids_before',
    problem: /^drift: Trigger log_keep_ids_before of notification_log is disabled/,
    restored: /^trigger log_keep_ids_before of pgwatch\.notification_log$/,
  },
  'a trigger of the log, which fires for other events': {
    sql: `create or replace trigger log_keep_ids_after after insert on pgwatch.notification_log
      for each statement execute function pgwatch.log_keep_ids()`,
    problem: /^drift: Trigger log_keep_ids_after of notification_log is disabled or altered/,
    restored: /^trigger log_keep_ids_after of pgwatch\.notification_log$/,
  },
  'a function with its triggers': {
    sql: 'drop function pgwatch.log_keep_ids() cascade',
    problem: /^drift: Trigger log_keep_ids_after of notification_log is missing\.$/,
    restored: /^function pgwatch\.log_keep_ids, trigger log_keep_ids_before of .*_after of /,
  },
  'the body of a function': {
    sql: `create or replace function
        pgwatch.log_pins(partition_name text, up_to bigint default null)
      returns table (consumer_id text, reason text) language sql
      as 'select null, null where false'`,
    problem: /^drift: Function pgwatch\.log_pins was replaced or altered\.$/,
    restored: /^function pgwatch\.log_pins$/,
  },
};

async function captured(): Promise<
  EmptyDatabase & { config: Awaited<ReturnType<EmptyDatabase['configWith']>> }
> {
  const database = await createMigratedDatabase();
  const config = await database.configWith({ reconnectDelay: '20ms' });
  await database.query('create table users (id int primary key)');
  await database.query(`create trigger c after insert on users for each row
    execute function notify_data_change('users')`);
  return { ...database, config };
}

describe('doctor finds what is missing, and migrate restores it', () => {
  test.each(some(Object.entries(DAMAGES)))('%s', async (_, { sql, problem, restored }) => {
    const { client, query, config } = await captured();
    await query(sql);
    const { findings } = await diagnose(config, 'all');
    const problems = ofDatabase(findings).filter(({ level }) => level === 'problem');
    expect(problems.map(({ check, what }) => `${check}: ${what}`)).toContainEqual(
      expect.stringMatching(problem),
    );
    expect(findings.map(({ what }) => what).join()).not.toMatch(/TypeError|Cannot read/);
    const told: string[] = [];
    await migrateUp(client, config, (what) => told.push(what));
    expect(told.join(', ')).toMatch(restored);
    await requireCurrentSchema(client, config);
    const { findings: left } = await diagnose(config, 'all');
    expect(left.filter(({ check }) => OF_SCHEMA.includes(check))).toEqual([]);
    const seen: unknown[] = [];
    const channels = ['users', 'x'];
    const daemon = await startTailing(config, [
      { id: 'c', channels, handle: ({ channel }) => seen.push(channel) },
    ]);
    await query(`insert into users values (1); select smart_notify('x')`);
    await until('both arrive', () => seen.length === 2 || `${seen}`);
    await daemon.stop();
    expect(daemon.reports.filter((line) => line.includes('error'))).toEqual([]);
  });

  test('the row of the origin is not needed: nothing unread counts as unneeded', async () => {
    const { client, query, config } = await captured();
    await query(`insert into pgwatch.consumer_progress
        (consumer_id, channels, done_id, done_snapshot)
      values ('c', '{x}', 0, '1:1:')`);
    await query(`select smart_notify('x')`);
    await query('truncate pgwatch.log_origin');
    const { rows } = await query(
      `select split_part(tableoid::regclass::text, '.', 2) as partition
       from pgwatch.notification_log`,
    );
    expect(await readPins(client, 'pgwatch', rows[0])).toMatchObject([{ consumerId: 'c' }]);
    expect((await readStatus(client, 'pgwatch', null)).consumers).toMatchObject([{ unread: 1 }]);
    const { answers } = await explain(client, config, { id: 1, consumerId: null });
    expect(answers).toHaveLength(1);
    const { checked } = await diagnose(config, 'all');
    expect(checked.filter(({ outcome }) => outcome === 'unchecked')).toEqual([]);
  });

  test('a log, its positions and its rows are kept', async () => {
    const { client, query, config } = await captured();
    await query(`select smart_notify('x', '{"kept": true}')`);
    await query('drop table pgwatch.delivery; truncate pgwatch.migration');
    await migrateUp(client, config);
    const { rows } = await query('select payload from pgwatch.notification');
    expect(rows).toEqual([{ payload: { kept: true } }]);
  });
});

describe('what cannot be restored is reported in a sentence', () => {
  test('tables of another version without a record', async () => {
    const { client, query, config } = await captured();
    await query('truncate pgwatch.migration; alter table pgwatch.delivery drop column is_suspect');
    await expect(migrateUp(client, config)).rejects.toThrow(
      /^Schema "pgwatch" contains tables of another version .*delivery\.is_suspect.* uninstall/,
    );
    expect((await readMigrationStates(client, config))[0]?.state).toBe('pending');
  });

  test('a schema that was renamed', async () => {
    const { client, query, config } = await captured();
    await query('alter schema pgwatch rename to other');
    const sentence = /renamed to "other".* alter schema "other" rename to "pgwatch";$/;
    await expect(migrateUp(client, config)).rejects.toThrow(sentence);
    await expect(requireCurrentSchema(client, config)).rejects.toThrow(sentence);
    await query('alter schema other rename to pgwatch');
    expect(await migrateUp(client, config)).toEqual([]);
  });

  test("another owner's function with the same name", async () => {
    const { client, query, configWith } = await createEmptyDatabase();
    await query(
      `create function public.smart_notify(text, jsonb, text, uuid) returns bigint return 1`,
    );
    await expect(migrateUp(client, await configWith({}))).rejects.toThrow(
      /^Function (public\.)?smart_notify\(text,jsonb,text,uuid\) already exists/,
    );
    const { rows } = await query(`select from pg_namespace where nspname = 'pgwatch'`);
    expect(rows).toEqual([]);
  });

  test.each(
    some([
      ['delivery', 'create table mine.delivery (id int)'],
      [
        'a lease and a daemon',
        'create table mine.lease (id int); create table mine.daemon (id int)',
      ],
    ]),
  )(
    "another owner's schema with a table named %s is neither filled nor removed",
    async (_, sql) => {
      const { client, query, configWith } = await createEmptyDatabase();
      await query(`create schema mine; ${sql}`);
      const config = await configWith({ schema: 'mine' });
      await expect(migrateUp(client, config)).rejects.toThrow(/already contains other objects/);
      await expect(readFootprint(client, config)).rejects.toThrow(/already contains other objects/);
    },
  );
});

test.each(
  some([
    ['without rows', `truncate pgwatch.migration, pgwatch.log_origin`],
    ['without its log', 'drop table pgwatch.notification_log cascade'],
    ['without our schema', 'drop schema pgwatch cascade'],
    ['without the public functions', 'drop function notify_data_change cascade'],
  ]),
)('a database %s can be uninstalled', async (_, sql) => {
  const { client, query, config } = await captured();
  await query(sql);
  await readFootprint(client, config);
  await uninstall(client, config);
  await expect(readFootprint(client, config)).rejects.toMatchObject({ code: 'schema_missing' });
  expect(await migrateUp(client, config)).not.toEqual([]);
});

test('statements are separated correctly, whatever they contain', () => {
  expect(
    statementsIn(`-- a; b
      select ';' as "a;b"; /* ; */ do $x$ begin; end; $x$;
create function f() returns int
begin atomic
  select 1;
end;
select 2;`),
  ).toEqual([
    `select ';' as "a;b";`,
    'do $x$ begin; end; $x$;',
    'create function f() returns int\nbegin atomic\n  select 1;\nend;',
    'select 2;',
  ]);
});
