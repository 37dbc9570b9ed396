import { expect, test } from 'vitest';
import { captureTable, changesOf, shortChangesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';

/* Goal: values that are equal to PostgreSQL make one key, so that changes of one row keep their order. */

const database = useDatabase();

test.each([
  ['alone', 'id numeric primary key', {}, ':1', ':2.5'],
  ['row', 'id numeric primary key', { forEach: 'row' }, ':1', ':2.5'],
  ['option', 'id numeric primary key', { exclude: ['note'] }, ':1', ':2.5'],
  ['scaled', 'id numeric(9, 3) primary key', {}, ':1', ':2.5'],
  [
    'composite',
    `id numeric, b text default 'x.0', primary key (id, b)`,
    {},
    ':[1, "x.0"]',
    ':[2.5, "x.0"]',
  ],
] as const)(
  'numbers of one value have one key, whatever their zeros: %s',
  async (kind, columns, options, one, two) => {
    const name = `numbers_${kind}`;
    await captureTable(database, name, `${columns}, note text`, options);
    await database.query(`insert into ${name} (id) values (1.0), (2.50)`);
    await database.query(`update ${name} set id = 1.000 where id = 1`);
    await database.query(`delete from ${name} where id = 1`);
    await database.query(`insert into ${name} (id) values (1)`);
    await database.query(`update ${name} set id = 2 where id = 1`);
    const actions = (await shortChangesOf(database, name)).map((text) => text.split(' ')[0]);
    expect(actions).toEqual(['INSERT', 'INSERT', 'UPDATE', 'DELETE', 'INSERT', 'DELETE', 'INSERT']);
    const keys = (await changesOf(database, name)).map(({ key }) =>
      key.replace(`public.${name}`, ''),
    );
    expect(keys).toEqual([one, two, one, one, one, one, one.replace('1', '2')]);
  },
);

test('texts that look like numbers are left as they are', async () => {
  await captureTable(database, 'versions', 'id text primary key', { columns: ['id'] });
  await database.query(`insert into versions values ('1.0'), ('1.00')`);
  expect((await changesOf(database, 'versions')).map(({ key }) => key)).toEqual([
    'public.versions:1.0',
    'public.versions:1.00',
  ]);
});

test.each([
  ['statement', 'in two statements'],
  ['row', 'within a statement'],
] as const)(
  'a key that rows can share for a while is warned of: for each %s',
  async (forEach, when) => {
    const columns = 'id int primary key deferrable';
    const { warnings } = await captureTable(database, `shared_${forEach}`, columns, { forEach });
    expect(warnings).toEqual([
      `The primary key of public.shared_${forEach} is deferrable: where rows have the same one for a while, as when two change places ${when}, the DELETE of one comes after the INSERT of the other.`,
    ]);
  },
);
