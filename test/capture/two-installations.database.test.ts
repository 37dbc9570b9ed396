import type { Client } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, dropTrigger } from '../../src/capture/create-trigger.ts';
import { planCapture } from '../../src/capture/plan.ts';
import { captureScript, removalScript } from '../../src/capture/script.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { findTable } from '../../src/capture/table.ts';
import { parseTableName } from '../../src/capture/table-name.ts';
import { triggerName } from '../../src/capture/trigger-sql.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();
const first = { schema: 'pgwatch', apiSchema: 'public' };
const second = { schema: 'Pg "b"', apiSchema: 'api_b' };
const third = { schema: 'c'.repeat(63), apiSchema: 'api_c' };
const all = [first, second, third];

async function countIn({ schema }: { schema: string }, table: string): Promise<number> {
  const quoted = schema.replaceAll('"', '""');
  const { rows } = await database.query(
    `select count(*)::int as count from "${quoted}".notification where payload ->> 'table' = $1`,
    [table],
  );
  return rows[0].count;
}

async function scriptsFor(client: Client, text: string) {
  const table = await findTable(client, first, parseTableName(text), ['public']);
  const capture = planCapture(table, {}, first);
  const joined = (statements: string[]) => statements.join(';\n');
  return { up: joined(captureScript(capture, first)), down: joined(removalScript(capture, first)) };
}

const counts = (table: string) => Promise.all(all.map((each) => countIn(each, table)));

describe('several installations in one database', () => {
  beforeAll(async () => {
    await database.query('create schema api_b; create schema api_c');
    const client = await database.connect();
    for (const place of [second, third]) {
      await migrateUp(client, {
        ...place,
        roles: { publish: [], consume: [], read: [], capture: [] },
      });
    }
  });

  test.each([
    ['for each statement', 'shared_a', 'statement'],
    ['for each row', 'shared_b', 'row'],
  ] as const)(
    'each captures the same table %s, and removes only its own triggers',
    async (_, table, forEach) => {
      const client = await database.connect();
      await client.query(`create table ${table} (id int primary key)`);
      for (const place of all) await createTrigger(client, table, { ...place, forEach });
      await client.query(`insert into ${table} values (1)`);
      expect(await counts(table)).toEqual([1, 1, 1]);
      for (const place of all) {
        expect(await createTrigger(client, table, { ...place, forEach })).toMatchObject({
          kind: 'unchanged',
        });
      }
      await dropTrigger(client, table, second);
      await client.query(`insert into ${table} values (2)`);
      expect(await counts(table)).toEqual([2, 1, 2]);
    },
  );

  test('row triggers of other installations make no capture stale', async () => {
    const client = await database.connect();
    await client.query('create table mixed (id int primary key)');
    await createTrigger(client, 'mixed', first);
    await createTrigger(client, 'mixed', { ...second, forEach: 'row' });
    const { rows } = await client.query(`select 'mixed'::regclass::oid::int as oid`);
    for (const place of [first, second]) {
      const [state] = await readCaptureStates(client, place, [rows[0].oid]);
      expect(state).toMatchObject({ stale: [], isByHand: false });
    }
  });

  test('a trigger name is no longer than PostgreSQL allows', () => {
    for (const schema of [third.schema, 'ä'.repeat(31)]) {
      const names = [triggerName({ schema }, 'insert'), triggerName({ schema }, 'truncate')];
      for (const name of names) expect(Buffer.byteLength(name)).toBeLessThan(64);
      expect(new Set(names).size).toBe(2);
    }
  });
});

describe("a user's trigger with one of our names", () => {
  const namesakes = {
    'for each row': ['a', 'after insert on a for each row'],
    'for each statement': ['b', 'after insert on b for each statement'],
    before: ['c', 'before insert on c for each row'],
    disabled: ['d', 'after insert on d for each row'],
    'on a partition': ['e', 'after insert on e_1 for each row'],
  };

  test.each(Object.entries(namesakes))('%s is never replaced', async (kind, [table = '', how]) => {
    const client = await database.connect();
    await client.query(
      `create or replace function mine() returns trigger
        language plpgsql as 'begin return new; end'`,
    );
    await client.query(
      kind === 'on a partition'
        ? `create table e (id int primary key) partition by range (id);
          create table e_1 partition of e default`
        : `create table ${table} (id int primary key)`,
    );
    await client.query(`create trigger "00_pgwatch_insert" ${how} execute function mine()`);
    if (kind === 'disabled') await client.query(`alter table ${table} disable trigger all`);
    await expect(createTrigger(client, table)).rejects.toMatchObject({
      code: 'table_unsuitable',
      message: expect.stringContaining('otherwise rename that trigger'),
    });
    const { up, down } = await scriptsFor(client, table);
    for (const script of [up, down]) {
      await expect(client.query(script)).rejects.toMatchObject({ code: 'PW003' });
    }
    expect(await dropTrigger(client, table)).toEqual({ kind: 'unchanged' });
    const { rows } = await client.query(
      `select tgfoid::regproc::text as name from pg_trigger where tgname like '00_pgwatch%'
        and tgrelid::regclass::text like $1`,
      [`${table}%`],
    );
    expect(rows).toEqual([{ name: 'mine' }]);
    await client.query(
      `alter trigger "00_pgwatch_insert"
        on ${kind === 'on a partition' ? 'e_1' : table} rename to mine`,
    );
    await client.query(up);
    expect(await createTrigger(client, table)).toMatchObject({ kind: 'unchanged' });
    await client.query(up);
    await client.query(down);
    expect(await createTrigger(client, table)).toMatchObject({ kind: 'added' });
  });

  test('the guard of a script accepts any table name', async () => {
    const name = `it's $pgwatch$ "odd"`;
    const client = await database.connect();
    await client.query(`create table ${client.escapeIdentifier(name)} (id int)`);
    const { up, down } = await scriptsFor(client, client.escapeIdentifier(name));
    await client.query(up);
    await client.query(up);
    await client.query(down);
  });
});
