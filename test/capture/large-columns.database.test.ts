import { expect, test } from 'vitest';
import type { TriggerOptions } from '../../src/config/triggers.ts';
import { captureTable, shortChangesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { wholeTest } from '../helpers/whole.ts';

/*
Goal: a column that is left out of the payload never makes a write fail, however large it is, and
its changes are still detected.
*/

const database = useDatabase();

const COLUMNS = 'id int primary key, name text, file bytea, note text';

const CASES: Record<string, TriggerOptions> = {
  excluded: { exclude: ['file', 'note'] },
  keys: { payload: 'keys' },
  changed: { payload: 'changed', exclude: ['file', 'note'] },
  filter: { exclude: ['file', 'note'], columns: ['file', 'note'] },
};
const EACH = Object.keys(CASES).flatMap((name) =>
  (['statement', 'row'] as const).map((forEach) => [`${name}_${forEach}`, name, forEach] as const),
);

test.each(EACH)('large columns are treated like small ones: %s', async (table, name, forEach) => {
  await captureTable(database, table, COLUMNS, { ...CASES[name], forEach });
  const client = await database.connect();
  await client.query(`alter table ${table} alter column file set storage external`);
  for (const size of [3, 300_000]) {
    await client.query(
      `insert into ${table} values (1, 'a', convert_to(repeat('x', ${size}), 'UTF8'), 'n'),
        (2, 'b', null, null)`,
    );
    await client.query(`update ${table} set name = 'c' where id = 1`);
    await client.query(`update ${table} set file = file || '1' where id = 1`);
    await client.query(`update ${table} set note = 'm' where id = 1`);
    await client.query(`update ${table} set id = 3 where id = 1`);
    await client.query(`delete from ${table}`);
  }
  const shown = name === 'keys' ? 'nothing' : 'name';
  const expected = [
    'INSERT 1',
    'INSERT 2',
    ...(name === 'filter' ? [] : [`UPDATE 1 ${shown}`]),
    'UPDATE 1 nothing',
    'UPDATE 1 nothing',
    'DELETE 1',
    'INSERT 3',
    'DELETE 2',
    'DELETE 3',
  ];
  expect(await shortChangesOf(database, table)).toEqual([...expected, ...expected]);
  const { rows } = await client.query(
    `select distinct jsonb_object_keys(coalesce(new_row, old_row)) as key
      from pgwatch.notification_log
     where relation ->> 1 = $1 order by key`,
    [table],
  );
  expect(rows.map(({ key }) => key)).toEqual(name === 'keys' ? ['id'] : ['id', 'name']);
});

wholeTest('a column too large for jsonb can be excluded', { timeout: 120_000 }, async () => {
  await captureTable(database, 'huge', COLUMNS, { exclude: ['file'] });
  // As hexadecimal text it is twice as long. Compressing it would take longest.
  await database.query(`alter table huge alter column file set storage external;
    insert into huge (id, file) values (1, convert_to(repeat('x', 135000000), 'UTF8'))`);
  expect(await shortChangesOf(database, 'huge')).toEqual(['INSERT 1']);
});
