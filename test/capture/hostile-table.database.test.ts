import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { beginSnapshot, copyBatch } from '../../src/capture/snapshot.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { readRowShapes } from '../../src/capture/types/shape.ts';
import { withConnection } from '../../src/database/connect.ts';
import { changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { diagnose } from '../helpers/doctor.ts';
import { type Attacker, withAttacker } from '../helpers/hostile-table.ts';
import { historyOf } from '../inspect/history-of.ts';

/*
Goal: a table whose types, casts, operators, domains and policies are an attacker's, against
everything pgwatch does with tables: none of the attacker's functions runs with another role's
rights.
*/

const database = useDatabase();

/**
 * Every way to another role's rights that needs no superuser. The functions record the role that
 * runs them.
 */
const ROADS = `
  create type trap as enum ('a', 'b', 'c'); create domain checked as int;
  create type pair as (n int, t trap);
  create function caught_text(trap) returns text language plpgsql
    as $$ begin perform lair.caught('cast to text'); return enum_out($1); end $$;
  create cast (trap as text) with function caught_text(trap) as assignment;
  create function caught_from(text) returns trap language plpgsql
    as $$ begin perform lair.caught('cast from text'); return 'a'; end $$;
  create cast (text as trap) with function caught_from(text) as assignment;
  create function caught_jsonb(trap) returns jsonb language plpgsql
    as $$ begin perform lair.caught('cast to jsonb'); return '1'; end $$;
  create cast (trap as jsonb) with function caught_jsonb(trap) as assignment;
  create function caught_row(pair) returns json language plpgsql
    as $$ begin perform lair.caught('cast of a row'); return '1'; end $$;
  create function caught_check(int) returns boolean language plpgsql
    as $$ begin perform lair.caught('check of a domain'); return true; end $$;
  alter domain checked add check (caught_check(value));
  create function caught_order(trap, trap) returns boolean language plpgsql
    as $$ begin perform lair.caught('operator'); return enum_lt($1, $2); end $$;
  create function caught_order(checked, checked) returns boolean language plpgsql
    as $$ begin perform lair.caught('operator of a domain'); return $1::int < $2::int; end $$;
  ${['trap', 'checked'].map(operatorsOf).join('\n')}
  create table bait (id trap, at checked, many trap[], pair pair, note text, primary key (id, at));
  create function caught_policy() returns boolean language plpgsql
    as $$ begin perform lair.caught('policy'); return true; end $$;
  create policy p on bait using (caught_policy()); alter table bait enable row level security;
  insert into bait select id, at, '{a,NULL}', '(1,b)'::pair, 'x'
  from unnest('{a,b,c}'::trap[]) as id, generate_series(1, 3) as at`;

function operatorsOf(type: string): string {
  return ['<', '<=', '>', '>=', '=', '<>']
    .map(
      (name) =>
        `create operator ${name} (leftarg = ${type}, rightarg = ${type}, function = caught_order);`,
    )
    .join('\n');
}

async function snapshotOf(client: Client, table: string, change = (text: string) => text) {
  const states = await readCaptureStates(client, database.config);
  const state = states.find((each) => each.table.name === table);
  if (!state) throw new Error(`${table} is not captured`);
  const snapshot = { consumerId: 'wants', table: state.table, batchSize: 4 };
  const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<never>;
  client.query = ((text: string, values?: unknown[]) => query(change(text), values)) as never;
  let progress = await beginSnapshot(client, database.config, snapshot, true);
  while (!progress.isFinished) {
    progress = (await copyBatch(client, database.config, snapshot)) ?? progress;
  }
  return progress.done;
}

/**
 * Runs with the attacker's search_path: none of our names may depend on the search_path of a
 * connection.
 */
async function asAdministrator<T>({ admin }: Attacker, work: (client: Client) => Promise<T>) {
  const { path } = (await admin.query(`select current_setting('search_path') as path`)).rows[0];
  return withConnection(database.config, async (client) => {
    await client.query(`select pg_catalog.set_config('search_path', $1, false)`, [path]);
    return work(client);
  });
}

test("none of the attacker's functions runs with another role's rights", async () => {
  await withAttacker(database, async (attacker) => {
    const { url, admin, caught } = attacker;
    await withConnection({ url }, async (client) => {
      await client.query('set search_path = lair, public');
      await client.query(ROADS);
      await createTrigger(admin, 'lair.bait');
      await client.query(`insert into bait values ('a', 9, '{b}', '(2,c)', 'y');
        update bait set note = 'z' where at operator(pg_catalog.=) 9;
        update bait set at = 10 where at operator(pg_catalog.=) 9`);
    });
    expect(await asAdministrator(attacker, (client) => snapshotOf(client, 'bait'))).toBe(10);
    await asAdministrator(attacker, async (client) => {
      const rows = await historyOf(database, client, { table: 'lair.bait', id: 'id=a,at=10' });
      expect(rows.short).toEqual(['INSERT', 'SNAPSHOT']);
      await historyOf(database, client, { table: 'lair.bait', id: 'id=a,at=9' }).then((each) =>
        each.undoLast(),
      );
      await readRowShapes(client, database.config);
    });
    await diagnose(database.config, 'all');
    expect(await caught()).toEqual([]);
    const last = (await changesOf(database, 'bait')).at(-1);
    expect(last?.payload).toMatchObject({
      action: 'SNAPSHOT',
      new_data: { id: 'c', at: 3, many: ['a', null], pair: { n: 1, t: 'b' }, note: 'x' },
    });
  });
});

test("a cast, or an operator looked up by name, would run the attacker's function", async () => {
  const wrong = {
    'cast to text': (text: string) => text.replace(/format\('%s', next\.key0\)/, 'next.key0::text'),
    'cast from text': (text: string) => text.replace(/\$2::(lair\.)?trap/, '$2::text::lair.trap'),
    operator: (text: string) => text.replaceAll(/operator\("pg_catalog"\.([<>]=?)\)/g, '$1'),
  };
  await withAttacker(database, async (attacker) => {
    const { url, admin, caught } = attacker;
    await withConnection({ url }, async (client) => {
      await client.query('set search_path = lair, public');
      await client.query(`${ROADS}; alter table bait drop column at;
        delete from bait where ctid not in
          (select min(ctid) from bait group by enum_out(id)::text);
        alter table bait add primary key (id)`);
    });
    await createTrigger(admin, 'lair.bait');
    for (const [road, change] of Object.entries(wrong)) {
      const path = (text: string) =>
        change(text).replace('pg_catalog, pg_temp', 'lair, pg_catalog');
      const run = asAdministrator(attacker, (client) => snapshotOf(client, 'bait', path));
      await run.catch(() => {});
      expect(await caught(), road).toHaveLength(1);
      await admin.query('truncate calls_seen; alter sequence calls restart');
    }
  });
});

test('a key whose type has an implicit cast of another role is refused with a reason', async () => {
  await withAttacker(database, async (attacker) => {
    const { url, admin, caught } = attacker;
    await withConnection({ url }, (client) =>
      client.query(`set search_path = lair, public;
        ${ROADS.replace('caught_text(trap) as assignment', 'caught_text(trap) as implicit')}`),
    );
    await createTrigger(admin, 'lair.bait');
    await expect(
      asAdministrator(attacker, (each) => snapshotOf(each, 'bait')),
    ).rejects.toMatchObject({
      code: 'table_unsuitable',
      message: expect.stringMatching(/^The key "id" of lair\.bait has the type .*trap, for which /),
    });
    expect(await caught()).toEqual([]);
  });
});

test('functions that the planner would run, and a swapped table, are refused', async () => {
  await withAttacker(database, async (attacker) => {
    const { url, admin, caught } = attacker;
    await admin.query('grant usage on schema public to public');
    await withConnection({ url }, async (client) => {
      await client.query(`set search_path = lair, public;
        create table bait (id int primary key); insert into bait values (1)`);
      await createTrigger(admin, 'lair.bait');
      await client.query(`create function caught_sneaky() returns int language plpgsql
          as $$ begin perform lair.caught('planner'); return 1; end $$;
        create function caught_constant() returns int language plpgsql immutable
          as $$ begin return lair.caught_sneaky(); end $$`);
      const places = {
        index: 'create index place on bait (caught_constant())',
        statistics: 'create statistics place on (caught_constant() + id), id from bait',
      };
      for (const [kind, sql] of Object.entries(places)) {
        await client.query(sql);
        await expect(
          asAdministrator(attacker, (each) => snapshotOf(each, 'bait')),
        ).rejects.toMatchObject({
          code: 'table_unsuitable',
          message: expect.stringMatching(/^Reading lair\.bait would run .*caught_constant\(\) of /),
        });
        await client.query(`drop ${kind} place`);
      }
      // A table that had another owner once.
      await client.query(places.index);
      await admin.query('alter table lair.bait owner to current_user');
      await expect(asAdministrator(attacker, (each) => snapshotOf(each, 'bait'))).rejects.toThrow(
        /^Reading lair\.bait would run/,
      );
      await admin.query(`drop index lair.place; alter table lair.bait owner to "${attacker.name}"`);
      await client.query(
        'alter table bait rename to moved; create view bait as select caught_sneaky() as id',
      );
      const states = await readCaptureStates(admin, database.config);
      const [state] = states.map((each) => ({ ...each, table: { ...each.table, name: 'bait' } }));
      const { table } = state as (typeof states)[0];
      const snapshot = { consumerId: 'wants', table, batchSize: 4 };
      await beginSnapshot(admin, database.config, snapshot, true);
      await expect(copyBatch(admin, database.config, snapshot)).rejects.toMatchObject({
        message:
          'lair.bait has been renamed, moved, dropped or replaced since this began. Run it again.',
      });
    });
    expect(await caught()).toEqual([]);
  });
});
