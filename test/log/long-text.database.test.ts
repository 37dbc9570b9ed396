import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/* Publishing must not depend on the length of a payload's text. */

const database = useDatabase();

/** A text of 40 MB. */
const LONG = `('[' || repeat('1e100000, ', 399) || '1]')::jsonb`;

test('an event with a long payload is recognized, another one with its id refused', async () => {
  const id = '0191a7c4-0000-7000-8000-000000000001';
  const publish = (content: string) =>
    database.query(`select smart_notify('c', ${content}, null, $1)::float8 as id`, [id]);
  const first = await publish(LONG);
  expect((await publish(LONG)).rows).toEqual(first.rows);
  await expect(publish(`${LONG} || '1'`)).rejects.toMatchObject({ code: 'PW002' });
});

test.each([
  ['the text', `'{"a": 1}'`, 100, '{"a": 1}'],
  ['null for null', 'null', 100, null],
  ['an empty text if the text would be longer', `'{"a": 1}'`, 7, ''],
  ['an empty text if numbers expand', LONG, 1e7, ''],
])('content_text returns %s', async (_, content, bytesMax, text) => {
  const { rows } = await database.query(`select pgwatch.content_text(${content}, $1) as text`, [
    bytesMax,
  ]);
  expect(rows).toEqual([{ text }]);
});

test('for a payload whose text may be too long, the announcement asks content_text', async () => {
  const listening = await database.connect();
  await listening.query('listen c');
  const heard: string[] = [];
  listening.on('notification', ({ payload }) => heard.push(payload ?? ''));
  // Recognized by its answer, because making a text of 1 GB, which fails, takes a minute on slow
  // memory.
  await database.query(`
    create or replace function pgwatch.content_text(content jsonb, bytes_max bigint) returns text
    language sql as $$ select case bytes_max when 8000 then '"asked"' else content::text end $$`);
  await database.query(`select smart_notify('c', ${LONG})`);
  await database.query(`select smart_notify_many('{c}', array[${LONG}], '{null}', '{null}')`);
  await until('both are heard', () => heard.length === 2);
  expect(heard.map((text) => JSON.parse(text).data)).toEqual(['asked', 'asked']);
});
