import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { notify, notifyMany, notifyQuery } from '../../src/log/publish.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: whatever client is passed to notify(), it publishes and returns the ids, or publishes nothing
and says which clients it takes; the result does not depend on the settings of the client's session.
*/

const database = useDatabase();

const countOf = async (channel: string) => {
  const text = 'select from pgwatch.notification_log where channel = $1';
  return (await database.query(text, [channel])).rowCount;
};

test.each([
  ['bare rows', (rows: unknown[]) => rows],
  ['rows and columns', (rows: unknown[]) => [rows, ['id']]],
  ['rows in an object', (rows: unknown[]) => ({ rows })],
])('a client that returns %s publishes once, in its transaction', async (kind, wrap) => {
  const client = await database.connect();
  const wrapped = {
    query: async (text: string, values: unknown[]) => wrap((await client.query(text, values)).rows),
  };
  await client.query('begin');
  expect(await notify(wrapped as never, kind, { a: 1 })).toBeGreaterThan(0);
  expect(await countOf(kind)).toBe(0);
  await client.query('commit');
  expect(await countOf(kind)).toBe(1);
});

test.each([
  ['nothing', undefined],
  ['a count', { rowCount: 1 }],
  ['other rows', [{ count: 1 }]],
])('a client that returns %s publishes nothing', async (kind, result) => {
  const client = await database.connect();
  const odd = {
    query: async (text: string, values: unknown[]) => {
      await client.query(text, values);
      return result;
    },
  };
  await expect(notify(odd as never, kind, {})).rejects.toMatchObject({
    code: 'input_invalid',
    message: expect.stringContaining('Nothing was published'),
  });
  expect(await countOf(kind)).toBe(0);
});

class PgTransaction {
  execute() {}
  query = {};
}

test.each([
  ['undefined', undefined],
  ['null', null],
  ['a function', () => {}],
  ['an object of PgTransaction', new PgTransaction()],
  ['an object of Object', { $queryRaw() {} }],
])('an object that is not a client is named: %s', async (name, client) => {
  await expect(notify(client as never, 'none', {})).rejects.toMatchObject({
    code: 'input_invalid',
    message:
      `notify() takes a client or a pool of node-postgres, but was given ${name}, which has no ` +
      'query(text, values). Nothing was published. With an ORM, use pgwatch/adapters; with ' +
      'another library, run notifyQuery() in your transaction.',
  });
});

test.each([
  'array_nulls = off',
  'standard_conforming_strings = off',
  'quote_all_identifiers = on',
  'extra_float_digits = -15',
  `search_path = ''`,
  `datestyle = 'German, DMY'; set timezone = 'Asia/Kolkata'; set intervalstyle = 'iso_8601'`,
  'transform_null_equals = on',
])('a session with %s publishes the same', async (setting) => {
  const client = await database.connect();
  await client.query(
    setting === 'standard_conforming_strings = off'
      ? `select set_config('standard_conforming_strings', 'off', false)`
      : `set ${setting}`,
  );
  const channel = setting.slice(0, 60);
  const ids = await notifyMany(client, [
    { channel, payload: { text: 'a\\b "NULL" é', none: null }, key: 'NULL' },
    { channel, payload: null, key: '' },
    { channel, payload: 1.5 },
    {
      channel,
      payload: [],
      eventId: randomUUID(),
    },
  ]);
  const { rows } = await database.query(
    `select id::int, key, payload, event_id is not null as given
     from pgwatch.notification_log where channel = $1 order by id`,
    [channel],
  );
  expect(rows).toEqual([
    { id: ids[0], key: 'NULL', payload: { text: 'a\\b "NULL" é', none: null }, given: false },
    { id: ids[1], key: '', payload: null, given: false },
    { id: ids[2], key: null, payload: 1.5, given: false },
    { id: ids[3], key: null, payload: [], given: true },
  ]);
});

test('options that are null are ignored, and other values of a wrong type are named', async () => {
  const client = await database.connect();
  expect(await notify(client, 'null', {}, null)).toBeGreaterThan(0);
  expect(await notifyMany(client, [], null)).toEqual([]);
  const calls: [string, () => Promise<unknown>][] = [
    ['notifyMany() takes an array, not null.', () => notifyMany(client, null as never)],
    ['notifyMany() takes an array, not object.', () => notifyMany(client, {} as never)],
    ['A notification is an object, not null.', () => notifyMany(client, [null] as never)],
    ['A notification is an object, not string.', () => notifyMany(client, ['null'] as never)],
    [
      'keyy is not an option of notify(). Did you mean "key"? ' +
        'Options are: key, eventId, apiSchema.',
      () => notify(client, 'null', {}, { keyy: 'a' } as never),
    ],
    [
      'uuid is not an option of notifyQuery(). Options are: key, eventId, apiSchema.',
      async () => notifyQuery('null', {}, { uuid: 'a' } as never),
    ],
    [
      'chanel is not an option of a notification. Did you mean "channel"? ' +
        'Options are: channel, payload, key, eventId.',
      () => notifyMany(client, [{ chanel: 'null', payload: 1 } as never]),
    ],
    [
      'key is not an option of notifyMany(). Options are: apiSchema.',
      () => notifyMany(client, [], { key: 'a' } as never),
    ],
    ['Options are an object, not string.', () => notify(client, 'null', {}, 'key' as never)],
    ['Options are an object, not an array.', () => notifyMany(client, [], [] as never)],
  ];
  for (const [message, call] of calls) {
    await expect(call()).rejects.toMatchObject({ code: 'input_invalid', message });
  }
  expect(await countOf('null')).toBe(1);
});
