import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/* Publishing must not depend on how long a payload is as text. */

const database = useDatabase();

/** Of 40 MB as text. */
const LONG = `('[' || repeat('1e100000, ', 399) || '1]')::jsonb`;

test('an event of a payload with a long text is known again, and another is refused', async () => {
  const id = '0191a7c4-0000-7000-8000-000000000001';
  const publish = (content: string) =>
    database.query(`select smart_notify('c', ${content}, null, $1)::float8 as id`, [id]);
  const first = await publish(LONG);
  expect((await publish(LONG)).rows).toEqual(first.rows);
  await expect(publish(`${LONG} || '1'`)).rejects.toMatchObject({ code: 'PW002' });
});

test.each([
  ['the text', `'{"a": 1}'`, 100, '{"a": 1}'],
  ['nothing of null', 'null', 100, null],
  ['an empty text where it would be longer', `'{"a": 1}'`, 7, ''],
  ['an empty text where numbers grow', LONG, 1e7, ''],
])('content_text returns %s', async (_, content, bytesMax, text) => {
  const { rows } = await database.query(`select pgwatch.content_text(${content}, $1) as text`, [
    bytesMax,
  ]);
  expect(rows).toEqual([{ text }]);
});

test('of a payload that may be too long as text the announcement asks content_text', async () => {
  const listening = await database.connect();
  await listening.query('listen c');
  const heard: string[] = [];
  listening.on('notification', ({ payload }) => heard.push(payload ?? ''));
  // Told apart by what it answers: making a text of 1 GB, which fails, takes a minute on slow
  // memory.
  await database.query(`
    create or replace function pgwatch.content_text(content jsonb, bytes_max bigint) returns text
    language sql as $$ select case bytes_max when 8000 then '"asked"' else content::text end $$`);
  await database.query(`select smart_notify('c', ${LONG})`);
  await database.query(`select smart_notify_many('{c}', array[${LONG}], '{null}', '{null}')`);
  await until('both are heard', () => heard.length === 2);
  expect(heard.map((text) => JSON.parse(text).data)).toEqual(['asked', 'asked']);
});
