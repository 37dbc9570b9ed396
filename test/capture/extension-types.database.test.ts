import { beforeAll, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { connect } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { changesOf } from '../helpers/captured.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';

/*
Goal: a table can be written at every isolation level, whatever its types are, and whoever owns
them.
*/

const database = useDatabase();

const EXTENSIONS = ['citext', 'hstore', 'isn', 'ltree', 'cube', 'seg', 'lo'];

const VALUES: Record<string, string> = {
  citext: `'A'`,
  'citext[]': `'{A,b}'`,
  hstore: `'a=>1'`,
  isbn: `'0-306-40615-2'`,
  ltree: `'a.b'`,
  lquery: `'a.*'`,
  cube: `'(1,2)'`,
  seg: `'1..2'`,
  lo: '1',
  mood: `'sad'`,
  'mood[]': `'{sad}'`,
  reals: `'[1,2)'`,
  manyreals: `'{[1,2)}'`,
  pair: `'(1,sad)'`,
  word: `'w'`,
};

beforeAll(async () => {
  const { rows } = await database.query(
    'select name from pg_available_extensions where name = any($1)',
    [EXTENSIONS],
  );
  expect(rows).toHaveLength(EXTENSIONS.length);
  await database.query(`${EXTENSIONS.map((name) => `create extension ${name};`).join(' ')}
    create type mood as enum ('sad');
    create type reals as range (subtype = float8, multirange_type_name = manyreals);
    create type pair as (n int, mood mood); create domain word as citext`);
});

test.each(Object.entries(VALUES))(
  'a table with a column of type %s can be written at every isolation level',
  async (type, value) => {
    const client = await database.connect();
    for (const forEach of ['row', 'statement'] as const) {
      await client.query(`create table typed (id int primary key, v ${type})`);
      await createTrigger(client, 'typed', { forEach });
      for (const level of ['read committed', 'repeatable read', 'serializable']) {
        await client.query(`begin isolation level ${level};
          insert into typed values (1, ${value}), (2, null); update typed set v = v;
          delete from typed; commit`);
      }
      expect(await changesOf(database, 'typed')).toHaveLength(18);
      await client.query('drop table typed; truncate pgwatch.notification_log');
    }
  },
);

test.each(['row', 'statement'] as const)(
  'types in a schema that the owner of pgwatch may not use can be written, for each %s',
  async (forEach) => {
    const empty = await createEmptyDatabase();
    const config = await empty.configWith({});
    const [owner, stranger] = [await createRole(empty, 'owner'), await createRole(empty, 'app')];
    await empty.client.query(`grant create on database "${config.url?.split('/').at(-1)}" to
        "${owner.name}"; grant create on schema public to "${owner.name}";
      create schema closed authorization "${stranger.name}"`);
    const [installer, app] = [
      await connect({ url: owner.url }),
      await connect({ url: stranger.url }),
    ];
    try {
      await migrateUp(installer, config);
      await app.query(`create type closed.mood as enum ('sad');
        create domain closed.mood_now as closed.mood;
        create domain closed.moods as closed.mood[];
        create type closed.pair as (mood closed.mood, now closed.mood_now);
        create domain closed.pair_now as closed.pair;
        create table closed.typed (id int primary key, a closed.mood, b closed.mood_now,
          c closed.mood[], d closed.moods, e closed.pair, f closed.pair_now, g closed.pair[])`);
      await createTrigger(empty.client, 'closed.typed', { forEach });
      for (const level of ['read committed', 'serializable']) {
        await app.query(`begin isolation level ${level}; insert into closed.typed values
          (1, 'sad', 'sad', '{sad}', '{sad}', '(sad,sad)', '(sad,sad)', '{"(sad,sad)"}');
          delete from closed.typed; commit`);
      }
      const { rows } = await empty.query(
        `select coalesce(new_row, old_row) as row from pgwatch.notification_log`,
      );
      const pair = { mood: 'sad', now: 'sad' };
      const row = {
        id: 1,
        a: 'sad',
        b: 'sad',
        c: ['sad'],
        d: ['sad'],
        e: pair,
        f: pair,
        g: [pair],
      };
      expect(rows).toEqual(Array(4).fill({ row }));
    } finally {
      await installer.end();
      await app.end();
    }
  },
);
