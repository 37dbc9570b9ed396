import { randomUUID } from 'node:crypto';
import { createPgwatch, type NotifyQuery, notify, notifyMany, notifyQuery } from 'pgwatch';
import * as adapters from 'pgwatch/adapters';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { createRole } from '../helpers/role.ts';
import { drizzle, nestedDrizzle } from './libraries/drizzle.ts';
import { knex } from './libraries/knex.ts';
import { controlledKysely, kysely } from './libraries/kysely.ts';
import type { Opened, Work } from './libraries/library.ts';
import { mikroOrm } from './libraries/mikro-orm.ts';
import { postgresJs } from './libraries/postgres-js.ts';
import { extendedPrisma, prisma } from './libraries/prisma.ts';
import { typeorm } from './libraries/typeorm.ts';

/*
Goal: with each library, a notification is delivered if, and only if, the transaction commits in
which the library writes.
Method: the real packages, as a user calls them; the log and a table of the library are compared.
*/

const database = useDatabase();

beforeAll(() => database.query('create table orders (id serial primary key, item text not null)'));

/** What the log has of a channel, and whether the library has inserted the order. */
async function stateOf(channel: string) {
  const { rows: published } = await database.query(
    `select id::int, key, payload, event_id as "eventId" from pgwatch.notification_log
     where channel = $1 order by id`,
    [channel],
  );
  const { rowCount } = await database.query('select from orders where item = $1', [channel]);
  return { published, orders: rowCount };
}

const PARTS = 'channel, key or payload';
const ROLLBACK = new Error('the program rolls back');

/** Texts that libraries may take for parameters, escapes, arrays or null. */
const ODD = `? \\? ?? $1 $1:: :name ::text 'a' "b" \\ {c,"d"} NULL %s é🔔 -- /* */`;

describe.each(
  [
    prisma,
    extendedPrisma,
    drizzle,
    nestedDrizzle,
    kysely,
    controlledKysely,
    knex,
    typeorm,
    mikroOrm,
    postgresJs,
  ].map((library) => ({ ...library, channel: `orders of ${library.name}` })),
)('$name', ({ open, name, adapter, channel }) => {
  let opened: Opened;
  beforeAll(async () => {
    opened = await open(database.url);
  });
  afterAll(() => opened.close());

  test('publishes in a transaction that commits', async () => {
    const eventId = randomUUID();
    const pgwatch = createPgwatch({ url: database.url });
    const ids: number[] = [];
    await opened.transact(channel, async (client) => {
      ids.push(await notify(client, channel, { ODD }, { key: ODD, eventId }));
      ids.push(await pgwatch.notify(channel, null, { client }));
      ids.push(
        ...(await notifyMany(client, [
          { channel, payload: ODD, key: ODD },
          { channel, payload: 2, key: '', eventId: randomUUID() },
          { channel, payload: [], eventId: randomUUID() },
        ])),
      );
      expect(await stateOf(channel)).toEqual({ published: [], orders: 0 });
    });
    await pgwatch.close();
    const { published, orders } = await stateOf(channel);
    expect(orders).toBe(1);
    expect(published.map(({ id }) => id)).toEqual(ids);
    expect(published).toMatchObject([
      { key: ODD, payload: { ODD }, eventId },
      { key: null, payload: null, eventId: null },
      { key: ODD, payload: ODD },
      { key: '', payload: 2 },
      { key: null, payload: [] },
    ]);
  });

  test('publishes nothing in a transaction that rolls back', async () => {
    const item = `${channel}, rolled back`;
    const transaction = opened.transact(item, async (client) => {
      await notify(client, item, 1);
      await notifyMany(client, [{ channel: item, payload: 2 }]);
      throw ROLLBACK;
    });
    await expect(transaction).rejects.toBe(ROLLBACK);
    expect(await stateOf(item)).toEqual({ published: [], orders: 0 });
  });

  test('runs what notifyQuery() returns', async () => {
    const item = `${channel}, by query`;
    await opened.transact(item, async (client) => {
      const { text, values }: NotifyQuery = notifyQuery(item, { ODD }, { key: ODD });
      await client.query(text, values);
    });
    expect(await stateOf(item)).toMatchObject({ published: [{ key: ODD }], orders: 1 });
  });

  test('refuses what is not in a transaction', async () => {
    for (const [what, call] of Object.entries(opened.mistakes)) {
      await expect(async () => call(), what).rejects.toMatchObject({
        code: 'transaction_missing',
        message: expect.stringMatching(/delivered even after a rollback(\. P|: p)ass .+\.$/),
      });
    }
  });

  test('is refused by the adapters of other libraries', async () => {
    await opened.transact(channel, async (_, transaction) => {
      for (const [other, adapt] of Object.entries(adapters)) {
        if (other === adapter) continue;
        expect(() => adapt(transaction as never), other).toThrow(
          expect.objectContaining({ code: 'input_invalid' }),
        );
      }
    });
  });

  test('keeps the codes and sentences of errors', async () => {
    const eventId = randomUUID();
    await notify(database.pool, 'taken', 1, { eventId });
    const role = await createRole(database, name);
    const failures: [Work, object][] = [
      [
        (client) => notify(client, 'taken', 2, { eventId }),
        {
          code: 'event_id_taken',
          message: `Event ${eventId} has already been published with a different ${PARTS}.`,
        },
      ],
      [
        (client) => notify(client, 'none', 'a\0b'),
        {
          code: 'payload_invalid',
          message: 'The payload cannot be stored: jsonb cannot hold the character \\u0000.',
        },
      ],
      [
        (client) => notify(client, 'none', 1, { apiSchema: ODD.slice(0, 40) }),
        { code: 'schema_missing' },
      ],
      [
        async (client) => {
          await client.query(`set local role "${role.name}"`, []);
          await notify(client, 'none', 1);
        },
        {
          code: 'permission_denied',
          message: expect.stringMatching(
            /^The database refused this: permission denied for function smart_notify\. Add/,
          ),
        },
      ],
      [(client) => notify(client, '', 1), { code: 'channel_invalid' }],
    ];
    for (const [work, expected] of failures) {
      await expect(opened.transact(channel, work)).rejects.toMatchObject(expected);
    }
  });
});
