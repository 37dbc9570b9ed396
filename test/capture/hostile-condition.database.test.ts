import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { applyChange } from '../../src/capture/apply.ts';
import { changesTo } from '../../src/capture/changes.ts';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { readCaptures } from '../../src/capture/existing.ts';
import { planCapture } from '../../src/capture/plan.ts';
import { overPresent } from '../../src/capture/present.ts';
import { findTable } from '../../src/capture/table.ts';
import { withConnection } from '../../src/database/connect.ts';
import { useDatabase } from '../helpers/database.ts';
import { withAttacker } from '../helpers/hostile-table.ts';

/*
Goal: a condition (when) on a table of an attacker runs nothing of theirs with the rights of the
administrator who creates the trigger, although PostgreSQL turns its literals into values then.
*/

const database = useDatabase();
const WHEN = { when: `new.tags @> '{urgent}'`, operations: ['insert'] as const };

/** A domain whose check records who runs it. */
const DOMAIN = `
  create function spring(text) returns boolean language plpgsql
    as $$ begin perform lair.caught('check'); return true; end $$;
  create domain sprung as text check (spring(value))`;

const find = (client: Client) =>
  findTable(client, database.config, { schema: 'lair', name: 'bait' }, []);

test('a condition is refused if a column contains a type that is not trusted', async () => {
  await withAttacker(database, async ({ url, admin, caught }) => {
    await withConnection({ url }, (client) =>
      client.query(`${DOMAIN}; create type pair as (n int, tags sprung[]);
        create table bait (id int primary key, tags sprung[], pairs pair[])`),
    );
    await expect(createTrigger(admin, 'lair.bait', WHEN)).rejects.toMatchObject({
      code: 'table_unsuitable',
      message: expect.stringContaining('lair.bait has a column of the type '),
    });
    expect(await caught()).toEqual([]);
    expect((await createTrigger(admin, 'lair.bait')).kind).toBe('added');
    // Without the check it would run.
    await admin.query(`create function nothing() returns trigger language plpgsql
      as $$ begin return null; end $$`);
    await admin.query(`create trigger t after insert on lair.bait for each row when (${WHEN.when})
      execute function nothing()`);
    expect(await caught()).toEqual([`check as ${admin.user}`]);
  });
});

test('a column added after the plan is noticed before the trigger is created', async () => {
  await withAttacker(database, async ({ url, admin, caught }) => {
    await withConnection({ url }, async (client) => {
      await client.query('create table bait (id int primary key, tags text[])');
      const capture = planCapture(await find(admin), WHEN, database.config);
      const change = changesTo(capture, [], database.config);
      await client.query(`${DOMAIN}; alter table bait rename tags to tags0;
        alter table bait add column tags sprung[]`);
      const applying = applyChange(admin, change, {
        names: database.config,
        patienceMs: 1000,
        signal: new AbortController().signal,
        onWaiting: () => {},
      });
      await expect(applying).rejects.toThrow(/^lair\.bait has a column of the type .*sprung/);
    });
    expect(await caught()).toEqual([]);
  });
});

test.each(['the owner of the table', 'a role with TRIGGER on it'])(
  'a condition that %s may have recorded is not repeated',
  async (who) => {
    await withAttacker(database, async ({ name, url, admin, caught }) => {
      await admin.query(`grant execute on function notify_data_change() to "${name}"`);
      if (who !== 'the owner of the table') {
        await admin.query(`create table lair.bait (id int primary key, tags text[]);
        grant trigger on lair.bait to "${name}"`);
      }
      const forged = `'{1}'::lair.sprung[] is not null`;
      await withConnection({ url }, (client) =>
        client.query(`${DOMAIN}; create table if not exists bait (id int primary key, tags text[]);
        create trigger "00_pgwatch_insert" after insert on bait for each row
          execute function public.notify_data_change('c', '{"id": ["id"],
            "when": "''{1}''::lair.sprung[] is not null"}')`),
      );
      const table = await find(admin);
      const [existing] = await readCaptures(admin, database.config, [table.oid]);
      const { triggers = [] } = existing ?? {};
      expect(() => overPresent(table, triggers, {})).toThrow(
        `The condition of lair.bait, ${forged}, may have been recorded by ${name}, who can create`,
      );
      const { options } = overPresent(table, triggers, { when: 'true' });
      expect(options).toMatchObject({ when: 'true', channel: 'c' });
      expect(await caught()).toEqual([]);
      await admin.query(`revoke execute on function notify_data_change() from "${name}"`);
    });
  },
);
