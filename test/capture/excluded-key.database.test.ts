import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { useDatabase } from '../helpers/database.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: an excluded column is in no key either, although the key follows the table when the columns
that the triggers name are gone.
*/

const database = useDatabase();

const CHANGES: [string, create: string, options: object, change: string][] = [
  [
    'it becomes the primary key',
    'id int primary key, secret text not null, note text',
    { exclude: ['secret'] },
    'drop column id, add primary key (secret)',
  ],
  [
    'it is a part of the next primary key',
    'id int primary key, secret text not null, note text not null',
    { exclude: ['secret'] },
    'drop column id, add primary key (note, secret)',
  ],
  [
    'the column of the option key is renamed',
    'customer int, secret text not null, note text',
    { key: ['customer'], exclude: ['secret'] },
    'add primary key (secret)',
  ],
];

test.each(
  some(
    CHANGES.flatMap((each) => (['row', 'statement'] as const).map((by) => [by, ...each] as const)),
  ),
)('for each %s, if %s', async (forEach, _, create, options, change) => {
  await database.query(`drop table if exists people; create table people (${create})`);
  await createTrigger(await database.connect(), 'people', { ...options, forEach });
  await database.query(`alter table people ${change}`);
  if (create.startsWith('customer')) {
    await database.query('alter table people rename customer to buyer');
  }
  await database.query(`insert into people (secret, note) values ('CANARY', 'a');
    update people set note = 'b'; update people set secret = 'CANARY-2'; delete from people`);
  const { rows } = await database.query(
    `select log::text as text from pgwatch.notification_log as log`,
  );
  expect(rows.length).toBeGreaterThan(3);
  expect(rows.map(({ text }) => text).join()).not.toContain('CANARY');
  await database.query('delete from pgwatch.notification_log');
});

test.each([
  '{"exclude": ["secret"]}',
  '{"exclude": ["secret"], "payload": "keys"}',
  '{"exclude": ["secret"], "payload": "changed", "key": ["secret"]}',
])('by hand, too, if the primary key is excluded: %s', async (options) => {
  await database.query(`drop table if exists by_hand; truncate pgwatch.notification_log;
    create table by_hand (secret text primary key, note text);
    create trigger rows after insert or update or delete on by_hand for each row
      execute function notify_data_change('c', '${options}');
    insert into by_hand values ('CANARY', 'a'); update by_hand set note = 'b';
    delete from by_hand`);
  const { rows } = await database.query(
    `select log.key, log::text as text from pgwatch.notification_log as log`,
  );
  expect(rows.map(({ key }) => key)).toEqual(Array(3).fill('public.by_hand:'));
  expect(rows.map(({ text }) => text).join()).not.toContain('CANARY');
});
