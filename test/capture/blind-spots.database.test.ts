import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { blindSpots } from '../../src/capture/warnings.ts';
import { useDatabase } from '../helpers/database.ts';

/**
 * Goal: if rows come or go without firing a trigger, pgwatch warns about it, both when the table is
 * captured and later.
 */

const database = useDatabase();

/** The warnings on capturing a table. */
async function warningsOf(table: string, ddl: string) {
  const client = await database.connect();
  await client.query(ddl);
  const { warnings } = await createTrigger(client, table);
  return warnings.join(' ');
}

async function spotsOf(name: string): Promise<string> {
  const states = await readCaptureStates(await database.connect(), database.config);
  return states
    .filter(({ table }) => table.name === name)
    .flatMap(({ table }) => blindSpots(table))
    .join(' ');
}

test('a partitioned table gets a warning about rows of attached partitions', async () => {
  const ddl = 'create table parted (id int primary key) partition by range (id)';
  expect(await warningsOf('parted', ddl)).toMatch(/ATTACH PARTITION.*pgwatch snapshot/);
});

test.each([
  [{ operations: ['update'] as const }, true],
  [{ operations: ['insert', 'delete', 'truncate'] as const }, true],
  [{ operations: ['truncate'] as const }, false],
  [{}, false],
])('a partitioned table gets a warning if rows that move are lost: %j', async (options, warns) => {
  await database.query(`drop table if exists moving;
    create table moving (id int primary key) partition by range (id)`);
  const { warnings } = await createTrigger(await database.connect(), 'moving', options);
  expect(warnings.some((each) => /moves a row of public\.moving/.test(each))).toBe(warns);
});

test('unlogged partitions of partitions are reported, even if created later', async () => {
  await warningsOf(
    'deep',
    `create table deep (id int primary key) partition by range (id);
     create table deep_a partition of deep for values from (0) to (10) partition by range (id)`,
  );
  expect(await spotsOf('deep')).toBe('');
  await database.query(
    'create unlogged table deep_aa partition of deep_a for values from (0) to (5)',
  );
  expect(await spotsOf('deep')).toMatch(/^public\.deep_aa is unlogged/);
});

test('an unlogged table is reported until it is logged', async () => {
  expect(await warningsOf('fast', 'create unlogged table fast (id int primary key)')).toMatch(
    /public\.fast is unlogged/,
  );
  await database.query('alter table fast set logged');
  expect(await spotsOf('fast')).toBe('');
});

test('a partition that is a foreign table is reported', async () => {
  const handler = `create foreign data wrapper nothing;
    create server far foreign data wrapper nothing;
    create table mixed (id int, at date) partition by range (at);
    create foreign table mixed_far partition of mixed
      for values from ('2020-01-01') to ('2021-01-01') server far`;
  expect(await warningsOf('mixed', handler)).toMatch(
    /public\.mixed_far of public\.mixed is a foreign/,
  );
  expect(await spotsOf('mixed')).toMatch(/foreign table/);
  // One that is attached later, to a partition of the table.
  await warningsOf(
    'later',
    `create table later (id int, at date) partition by range (at);
     create table later_a partition of later for values from ('2020-01-01') to ('2022-01-01')
       partition by range (at)`,
  );
  expect(await spotsOf('later')).toBe('');
  await database.query(`create foreign table later_far (id int, at date) server far;
    alter table later_a attach partition later_far
      for values from ('2020-01-01') to ('2021-01-01')`);
  expect(await spotsOf('later')).toMatch(/^public\.later_far of public\.later is a foreign/);
});

test.each(['copy_frozen', 'emptied', 'renamed'])(
  'whatever fires triggers is captured: %s',
  async (kind) => {
    const client = await database.connect();
    await client.query(`create table ${kind} (id int primary key);
    create table ${kind}_child (id int references ${kind})`);
    await createTrigger(client, kind);
    await createTrigger(client, `${kind}_child`);
    const ACTIONS: Record<string, string> = {
      copy_frozen: `begin; truncate copy_frozen cascade;
        copy copy_frozen from program 'echo 1' with (freeze); commit`,
      emptied: 'insert into emptied values (1); truncate emptied cascade',
      renamed:
        'alter table renamed rename to other; insert into other values (1); truncate other cascade',
    };
    await client.query(ACTIONS[kind] ?? '');
    const { rows } = await client.query(
      `select relation ->> 1 as name, action from pgwatch.notification_log
     where relation ->> 1 ~ any (array[$1, 'other']) order by id`,
      [kind],
    );
    expect(rows.map(({ action }) => action).sort()).toEqual(['INSERT', 'TRUNCATE', 'TRUNCATE']);
    expect(rows.map(({ name }) => name)).toContain(`${kind}_child`);
  },
);
