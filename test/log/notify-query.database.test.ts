import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { notify, notifyQuery } from '../../src/log/publish.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();

test('the statement publishes what notify() publishes, and returns its id as text', async () => {
  const eventId = randomUUID();
  const options = { key: `'a' "b" \\ ? $1`, eventId };
  const { text, values } = notifyQuery('orders', { id: 1 }, options);
  const { rows } = await database.query(text, values);
  expect(rows).toEqual([{ id: expect.stringMatching(/^[0-9]+$/) }]);
  // The event has been published: this is its id.
  expect(await notify(database.pool, 'orders', { id: 1 }, options)).toBe(Number(rows[0].id));
});

test('its parameters are texts or null, each of them once and in order', () => {
  const { text, values } = notifyQuery('orders', 1);
  expect(text.match(/\$\d+/g)).toEqual(['$1', '$2', '$3', '$4']);
  expect(values).toEqual(['orders', '1', null, null]);
  expect(text).not.toContain('?');
});

test('it names the schema of smart_notify', () => {
  expect(notifyQuery('orders', 1, { apiSchema: 'our"api' }).text).toContain(
    '"our""api"."smart_notify"',
  );
});

test.each<[string, () => unknown, string]>([
  ['channel', () => notifyQuery(42 as never, 1), 'channel_invalid'],
  ['payload', () => notifyQuery('orders', () => {}), 'payload_invalid'],
  ['key', () => notifyQuery('orders', 1, { key: 7 as never }), 'input_invalid'],
  ['event id', () => notifyQuery('orders', 1, { eventId: 'seven' }), 'input_invalid'],
  ['options', () => notifyQuery('orders', 1, 'key' as never), 'input_invalid'],
])('a wrong %s is refused before anything is sent', (_, call, code) => {
  expect(call).toThrow(expect.objectContaining({ code }));
});
