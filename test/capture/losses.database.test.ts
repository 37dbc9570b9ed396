import { beforeAll, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { readLosses } from '../../src/capture/losses.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { explainTable } from '../../src/inspect/why/table.ts';
import { captureTable, shortChangesOf } from '../helpers/captured.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { diagnose } from '../helpers/doctor.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: if changes of a captured table are lost because the table was altered later, pgwatch says so
everywhere: list, doctor, why, and the daemon.
*/

const database = useDatabase();

/** What is done to a table after its capture, a change that is lost, and the message. */
const CASES: Record<string, { columns?: string; later: string; lost: string; said: RegExp }> = {
  attached: {
    later: `create table whole (id int primary key) partition by range (id);
      alter table whole attach partition attached default`,
    lost: 'insert into whole values (1)',
    said: /^public.attached has become a part of public.whole: .* lost/,
  },
  inherits: {
    later: `create table parent (id int); insert into inherits values (1);
      truncate pgwatch.notification_log; alter table inherits inherit parent`,
    lost: 'update parent set id = 2',
    said: /^public.inherits has become a part of public.parent: .* lost/,
  },
  replicas: {
    later: 'alter table replicas enable replica trigger "00_pgwatch_insert"',
    lost: 'insert into replicas values (1)',
    said: /^Triggers of public.replicas do not fire \(00_pgwatch_insert\): changes are lost/,
  },
  off: {
    later: 'alter table off disable trigger "00_pgwatch_insert"',
    lost: 'insert into off values (1)',
    said: /not fire \(00_pgwatch_insert\): changes are lost/,
  },
};

beforeAll(async () => {
  for (const [name, { later, lost }] of Object.entries(CASES)) {
    await captureTable(database, name, 'id int primary key');
    await database.query(later);
    await database.query(lost);
  }
});

test.each(Object.entries(CASES))(
  'changes are lost, and pgwatch says so: %s',
  async (name, { said }) => {
    expect(await shortChangesOf(database, name)).toEqual([]);
    const { rows } = await database.query('select $1::regclass::oid::int as oid', [name]);
    const oid = rows[0].oid;
    const client = await database.connect();
    const [loss] = await readLosses(client, database.config, [oid]);
    expect(loss?.sentence).toMatch(said);
    const [state] = await readCaptureStates(client, database.config, [oid]);
    if (!state) throw new Error('it is captured');
    expect(state.losses.length + state.disabled.length).toBe(1);
    const { reasons } = await explainTable(client, database.config, state.table);
    expect(['lost', 'disabled']).toContain(reasons[0]?.code);
  },
);

test('the doctor reports each as a problem, and how to publish the lost rows', async () => {
  const { findings } = await diagnose(database.config, 'capture');
  for (const name of ['attached', 'inherits']) {
    expect(findings).toContainEqual(
      expect.objectContaining({
        level: 'problem',
        what: expect.stringMatching(CASES[name]?.said ?? /none/),
        fix: expect.stringContaining(`pgwatch snapshot public.${name} --consumer ID`),
      }),
    );
  }
});

test('the daemon reports each loss when it starts', async () => {
  const daemon = await startTailing(database.config, [
    { id: 'told', channels: ['data_change'], handle() {} },
  ]);
  for (const { said } of Object.values(CASES)) {
    const pattern = new RegExp(said.source.replace('^', ''));
    await until('the daemon has said it', () => daemon.reports.some((each) => pattern.test(each)));
  }
  await daemon.stop();
});

test('children added later, and partitions with disabled triggers, are named', async () => {
  await captureTable(database, 'root', 'id int primary key');
  await database.query(`create table kid () inherits (root);
    create table ranged (id int primary key) partition by range (id);
    create table ranged_1 partition of ranged default`);
  await createTrigger(await database.connect(), 'ranged');
  await database.query('alter table ranged_1 disable trigger all');
  const client = await database.connect();
  const { rows } = await client.query(
    `select array['root'::regclass::oid::int, 'ranged'::regclass::oid::int] as oids`,
  );
  const losses = await readLosses(client, database.config, rows[0].oids);
  expect(losses.map(({ sentence }) => sentence)).toEqual([
    'Triggers of public.ranged_1 do not fire: changes made there are lost.',
    'public.kid now inherits from public.root: rows that are changed through public.root are ' +
      'published as its own.',
  ]);
});

test('capturing the table again ends the losses', async () => {
  const client = await database.connect();
  for (const name of ['attached', 'inherits', 'replicas', 'off']) {
    await createTrigger(client, name);
    const { rows } = await client.query('select $1::regclass::oid::int as oid', [name]);
    expect(await readLosses(client, database.config, [rows[0].oid])).toEqual([]);
  }
  await client.query('insert into whole values (7); update parent set id = 8');
  expect(await shortChangesOf(database, 'whole')).toEqual(['INSERT 7']);
  expect(await shortChangesOf(database, 'inherits')).toEqual(['DELETE 2', 'INSERT 8']);
});

test.each([
  ['the whole', 'fed', 'fed'],
  ['a partition', 'fed_b', 'fed'],
  ['a partition of a partition', 'fed_a1', 'fed'],
  ['the whole of a partition that is captured alone', 'fed', 'fed_b'],
])('a subscription to %s writes to a captured table', async (_, subscribed, captured) => {
  await database.query(`drop table if exists fed;
    create table fed (id int primary key) partition by range (id);
    create table fed_a partition of fed for values from (0) to (10) partition by range (id);
    create table fed_a1 partition of fed_a default;
    create table fed_b partition of fed default`);
  const client = await database.connect();
  const { rows } = await client.query('select $1::regclass::oid::int as oid', [captured]);
  const lossesNow = async () =>
    (await readLosses(client, database.config, [rows[0].oid])).map(({ kind }) => kind);
  await createTrigger(client, captured);
  expect(await lossesNow()).toEqual([]);
  try {
    await database.query(`set allow_system_table_mods = on;
      insert into pg_subscription_rel values (1, '${subscribed}'::regclass, 'r', null);
      reset allow_system_table_mods`);
    expect(await lossesNow()).toEqual(['subscription']);
    await createTrigger(client, captured);
    expect(await lossesNow()).toEqual([]);
    // The process that applies a subscription runs like this, and new partitions are included.
    if (captured === 'fed') {
      await client.query('create table fed_a2 partition of fed_a for values from (5) to (9)');
    }
    await client.query(`set session_replication_role = replica;
      insert into ${captured} select n from generate_series(11, 12) as n;
      insert into ${captured === 'fed' ? 'fed' : 'fed_b'} values (${captured === 'fed' ? 5 : 13});
      reset session_replication_role`);
    expect(await lossesNow()).toEqual([]);
    expect(await shortChangesOf(database, 'fed')).toHaveLength(3);
  } finally {
    await database.query(`set allow_system_table_mods = on; delete from pg_subscription_rel;
      reset allow_system_table_mods; truncate pgwatch.notification_log`);
  }
});

test('a virtual column is refused if its value is needed', async () => {
  const { rows: version } = await database.query(
    "select current_setting('server_version_num')::int as n",
  );
  if (version[0].n < 180_000) return;
  const columns = 'id int primary key, a int, v int generated always as (a * 2) virtual';
  for (const option of ['columns', 'key']) {
    await expect(
      captureTable(database, `by_${option}`, columns, { [option]: ['a', 'v'] }),
    ).rejects.toThrow(
      `public.by_${option} has the virtual generated column "v", which ${option} names`,
    );
  }
  for (const forEach of ['row', 'statement'] as const) {
    const name = `virtual_${forEach}`;
    await captureTable(database, name, 'id int primary key, a int, v int', {
      columns: ['v'],
      forEach,
    });
    await database.query(`alter table ${name} drop v;
      alter table ${name} add v int generated always as (a * 2) virtual;
      insert into ${name} values (1, 1); update ${name} set a = 3`);
    expect(await shortChangesOf(database, name)).toEqual(['INSERT 1', 'UPDATE 1 a']);
    const client = await database.connect();
    const { rows } = await client.query('select $1::regclass::oid::int as oid', [name]);
    const [state] = await readCaptureStates(client, database.config, [rows[0].oid]);
    expect(state?.stale).toEqual([expect.stringMatching(/virtual .* computed from$/)]);
  }
});

test('a row trigger added later is reported, and capturing again restores the order', async () => {
  await captureTable(database, 'followed', 'id int primary key, n int default 0');
  await database.query(`create function count_up() returns trigger language plpgsql as
      'begin update followed set n = n + 1 where id = new.id; return null; end';
    create trigger app_after after insert on followed for each row execute function count_up()`);
  const client = await database.connect();
  const { rows } = await client.query(`select 'followed'::regclass::oid::int as oid`);
  const [state] = await readCaptureStates(client, database.config, [rows[0].oid]);
  expect(state?.stale).toEqual([
    'for each statement → row (app_after may change it within the statement)',
  ]);
  await createTrigger(client, 'followed');
  await client.query('insert into followed values (1)');
  expect(await shortChangesOf(database, 'followed')).toEqual(['INSERT 1', 'UPDATE 1 n']);
});
