import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { beginSnapshot, copyBatch } from '../../src/capture/snapshot.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { type Attacker, withAttacker } from '../helpers/hostile-table.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: rows with types of another role become the JSON that to_jsonb() would make of them, although
to_jsonb() is not called on them.
*/

const database = useDatabase();

const TYPES = `
  create type mood as enum ('a', 'b', 'c "x", {y}'); create domain calm as mood;
  create domain calmer as calm not null;
  create type pair as (n int, mood mood, j json, "We""ird n%me" text, nn numeric(5,2), at calmer);
  create domain pair_domain as pair; create domain moods as mood[]; create type nothing as ();
  create type span as range (subtype = mood, multirange_type_name = spans);
  create type nested as (pair pair, pairs pair[], span span, spans spans, domains pair_domain[],
    calms calm[]);
  create table rowed (id int, mood mood); create type record_of as (rowed rowed, rows rowed[])`;

const PAIR = `row(1, 'a', '{"x": 1.0}', 'te"xt', 1.5, 'b')::pair`;

/** Columns: their types and a value of each. */
const COLUMNS: Readonly<Record<string, readonly [type: string, value: string]>> = {
  plain: ['mood', `'a'`],
  weird: ['calmer', `'c "x", {y}'`],
  'x%y': ['text', `'plain'`],
  t: ['char(5)', `'abc'`],
  plainest: ['bpchar', `'abc '`],
  bits: ['bit(3)', `b'101'`],
  json: ['json', `'{"a": [1.00]}'`],
  number: ['numeric(6,2)', '12.30'],
  at: ['timestamptz', `'2026-01-02 03:04:05+06'`],
  arrays: ['mood[]', `'[2:3][1:2]={{a,b},{NULL,"c \\"x\\", {y}"}}'`],
  empty: ['pair[]', `'{}'`],
  pair: ['pair', PAIR],
  nulls: ['pair', `row(null, null, null, null, null, 'a')::pair`],
  domain: ['pair_domain', PAIR],
  pairs: ['pair[]', `array[[${PAIR}, null], [${PAIR}, ${PAIR}]]`],
  span: ['span', `'[a,b)'`],
  spans: ['spans', `'{[a,a],[b,b]}'`],
  moods: ['moods', `'{a,NULL}'`],
  listed: ['moods[]', `'{"{a}","{b,NULL}"}'`],
  nothing: ['nothing', 'row()::nothing'],
  nested: [
    'nested[]',
    `array[row(${PAIR}, array[${PAIR}, null], '[a,b]', '{}', array[${PAIR}], '{a,NULL}')::nested]`,
  ],
  record: ['record_of', `row(row(1, 'a')::rowed, array[row(2, 'b')::rowed, null])::record_of`],
};

const names = Object.keys(COLUMNS).map((name) => `"${name}"`);

/**
 * Creates a table with all of these columns, a dropped one and a row of nulls. Another role owns
 * the types.
 */
async function makeTable({ admin, name }: Attacker, forEach: 'row' | 'statement') {
  const columns = Object.entries(COLUMNS).map(([column, [type]]) => `"${column}" ${type}`);
  await admin.query(`${TYPES}; 
    create table bait (id int primary key, gone int, ${columns.join(', ')});
    alter table bait drop column gone`);
  await createTrigger(admin, 'bait', { forEach });
  for (const type of ['mood', 'pair', 'span', 'nothing', 'nested', 'record_of'])
    await admin.query(`alter type ${type} owner to "${name}"`);
  await admin.query(`alter table rowed owner to "${name}"`);
}

/** What the log has for the table, and what to_jsonb() makes of its rows, as texts. */
async function compared({ admin }: Attacker) {
  const { rows } = await admin.query(
    `select log.action, log.new_row::text as logged, to_jsonb(bait)::text as wanted
     from bait join pgwatch.notification_log as log on (log.new_row ->> 'id')::int = bait.id
     where log.relation ->> 1 = 'bait' order by log.id`,
  );
  return rows as { action: string; logged: string; wanted: string }[];
}

test.each(some(['row', 'statement'] as const))(
  'rows are captured as to_jsonb() would make them, for each %s',
  async (forEach) => {
    await withAttacker(database, async (attacker) => {
      const { admin } = attacker;
      await makeTable(attacker, forEach);
      await admin.query(`set timezone = 'UTC'`);
      const values = Object.values(COLUMNS).map(([, value]) => value);
      await admin.query(`insert into bait (id, ${names.join(', ')})
        values (1, ${values.join(', ')});
      insert into bait (id, weird) values (2, 'a'); update bait set id = id`);
      const states = await readCaptureStates(admin, database.config);
      const state = states.find(({ table }) => table.name === 'bait') as (typeof states)[0];
      const snapshot = { consumerId: 'wants', table: state.table, batchSize: 4 };
      // As a superuser: a role that the types' owner cannot act as.
      await beginSnapshot(admin, database.config, snapshot, true);
      await copyBatch(admin, database.config, snapshot);
      const rows = await compared(attacker);
      expect(rows.map(({ action }) => action)).toEqual([
        ...['INSERT', 'INSERT', 'UPDATE', 'UPDATE', 'SNAPSHOT', 'SNAPSHOT'],
      ]);
      for (const { logged, wanted } of rows) expect(logged).toBe(wanted);
      await database.query('delete from pgwatch.notification_log');
    });
  },
);

test("a value that jsonb cannot hold breaks no write, even in another role's type", async () => {
  await withAttacker(database, async ({ admin, name }) => {
    await admin.query(`create type pair as (n int, j json);
      create table bad (id int primary key, j json, pair pair, pairs pair[]);
      alter type pair owner to "${name}"`);
    await createTrigger(admin, 'bad');
    const pair = `row(1, '"\\u0000"')::pair`;
    await admin.query(`insert into bad values (1, '"\\u0000"', ${pair}, array[${pair}])`);
    const [change] = await changesOf(database, 'bad');
    const held = { n: 1, j: '\ufffd' };
    expect(change?.payload.new_data).toEqual({ id: 1, j: '\ufffd', pair: held, pairs: [held] });
  });
});

test.each(['row', 'statement'] as const)(
  'NULL in an array is null whatever array_nulls says, for each %s',
  async (forEach) => {
    await withAttacker(database, async ({ admin, name }) => {
      await admin.query(`create type word as enum ('a', 'NULL');
      create table words (id int primary key, list word[]); alter type word owner to "${name}"`);
      await createTrigger(admin, 'words', { forEach });
      await admin.query(`set array_nulls = off; set standard_conforming_strings = off;
      insert into words values (1, array['a', null, 'NULL']::word[]); reset array_nulls`);
      const change = (await changesOf(database, 'words')).at(-1);
      expect(change?.payload.new_data).toEqual({ id: 1, list: ['a', null, 'NULL'] });
    });
  },
);
