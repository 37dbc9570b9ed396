import { expect, test } from 'vitest';
import { notify, notifyMany, publishTexts } from '../../src/log/publish.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();

async function payloadText(id: number): Promise<string> {
  const { rows } = await database.query(
    'select payload::text from pgwatch.notification_log where id = $1',
    [id],
  );
  return rows[0].payload;
}

const circular: Record<string, unknown> = {};
circular.self = circular;
const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;

test.each([
  ['NUL in a string', { text: 'a\0b' }, 'jsonb cannot hold the character \\u0000'],
  ['NUL in a member name', { 'a\0b': 1 }, 'jsonb cannot hold the character \\u0000'],
  ['half of a surrogate pair', ['\ud83d'], 'half of a surrogate pair'],
  ['a circular object', circular, 'Converting circular structure to JSON'],
  ['a bigint', { id: 1n }, 'BigInt'],
  ['a function', () => 1, 'it is a function'],
  ['a symbol', Symbol('x'), 'it is a symbol'],
])('%s is refused as a payload, with the reason in a sentence', async (_, payload, reason) => {
  const refused = notify(database.pool, 'payload', payload);
  await expect(refused).rejects.toMatchObject({
    code: 'payload_invalid',
    message: expect.stringMatching(/^The payload (is not JSON|cannot be stored): .+\.$/),
  });
  await expect(refused).rejects.toThrow(reason);
});

test.each([
  ['too deep for the server', deep, 'nested too deeply'],
  ['a number of 200,000 digits', '1e200000', 'a number that jsonb cannot hold'],
  ['not JSON', '{"a":', 'not valid JSON'],
])('JSON text that is %s is refused', async (_, json, reason) => {
  const refused = publishTexts(database.pool, [{ channel: 'payload', json }], 'public');
  await expect(refused).rejects.toMatchObject({ code: 'payload_invalid' });
  await expect(refused).rejects.toThrow(reason);
});

test.each([
  ['undefined, as {}', undefined, '{}'],
  ['null', null, 'null'],
  ['false', false, 'false'],
  ['an empty string', '', '""'],
  ['a date, as ISO 8601', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ['a whole surrogate pair', '🔔', '"🔔"'],
  ['a member called __proto__', JSON.parse('{"__proto__": 1}'), '{"__proto__": 1}'],
])('%s is stored', async (_, payload, text) => {
  expect(await payloadText(await notify(database.pool, 'payload', payload))).toBe(text);
});

test('JSON text keeps all digits of its numbers', async () => {
  const json = '[12345678901234567890, 0.10000000000000000001, 1e30]';
  const [id = 0] = await publishTexts(database.pool, [{ channel: 'payload', json }], 'public');
  expect(await payloadText(id)).toBe(
    '[12345678901234567890, 0.10000000000000000001, 1000000000000000000000000000000]',
  );
});

test('a payload nested 1,000 levels deep is stored', async () => {
  const json = `${'['.repeat(1000)}${']'.repeat(1000)}`;
  const [id = 0] = await publishTexts(database.pool, [{ channel: 'payload', json }], 'public');
  expect(await payloadText(id)).toBe(json);
});

test('many notifications are published in the given order, or none of them', async () => {
  const payloads = Array.from({ length: 1000 }, (_, index) => index);
  const many = (list: unknown[]) => list.map((payload) => ({ channel: 'many', payload }));
  const ids = await notifyMany(database.pool, many(payloads));
  const stored = await database.query(
    `select id::float8, payload from pgwatch.notification_log where channel = 'many' order by id`,
  );
  expect(stored.rows).toEqual(payloads.map((payload, index) => ({ id: ids[index], payload })));

  await expect(notifyMany(database.pool, many([1, 2, '\0']))).rejects.toThrow('\\u0000');
  const after = await database.query(
    `select count(*)::int from pgwatch.notification_log where channel = 'many'`,
  );
  expect(after.rows).toEqual([{ count: 1000 }]);
  expect(await notifyMany(database.pool, [])).toEqual([]);
});

test.each(['a\0b', '\udc00', 42 as unknown as string])('%j is refused as a key', async (key) => {
  await expect(notify(database.pool, 'payload', 1, { key })).rejects.toMatchObject({
    code: 'input_invalid',
    message: `A key is a string without NUL, not ${JSON.stringify(key)}.`,
  });
});

test('without the schema the error says to run the migrations', async () => {
  await expect(notify(database.pool, 'payload', 1, { apiSchema: 'nowhere' })).rejects.toMatchObject(
    {
      code: 'schema_missing',
      message: 'The database has no function smart_notify. Run "pgwatch migrate".',
    },
  );
});
