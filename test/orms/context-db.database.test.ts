import { defineEntity, MikroORM, p } from '@mikro-orm/postgresql';
import { PrismaPg } from '@prisma/adapter-pg';
import { drizzle } from 'drizzle-orm/node-postgres';
import { pgTable, serial, text } from 'drizzle-orm/pg-core';
import Knex from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import { type ConsumerContext, createPgwatch, defineConsumer, notify } from 'pgwatch';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { PrismaClient } from './generated/prisma/client.ts';

/*
Goal: a handler can give context.db to a library, without a cast; with transaction: true, what the
library writes commits with the position or not at all.
Method: handlers write an order and fail in their first attempt. Its order is undone in a
transaction, and kept without one.
*/

const database = useDatabase();
const orders = pgTable('orders', { id: serial().primaryKey(), item: text().notNull() });
const Order = defineEntity({
  name: 'Order',
  tableName: 'orders',
  properties: { id: p.integer().primary(), item: p.string() },
});
const knex = Knex({ client: 'pg' });
let orm: MikroORM;

beforeAll(async () => {
  await database.query('create table orders (id serial primary key, item text not null)');
  orm = await MikroORM.init({ clientUrl: database.url, entities: [Order] });
});
afterAll(() => Promise.all([knex.destroy(), orm.close()]));
beforeEach(() => database.query('truncate orders'));

type Db = ConsumerContext['db'];

const overKysely = (pool: Db) =>
  new Kysely<{ orders: { item: string } }>({ dialect: new PostgresDialect({ pool }) });

/** Inserts an order, and reads how many there are. */
const writers: Record<string, (db: Db, item: string) => Promise<number>> = {
  async Drizzle(client, item) {
    const db = drizzle({ client });
    await db.insert(orders).values({ item });
    return db.$count(orders);
  },
  async Kysely(pool, item) {
    const db = overKysely(pool);
    await db.insertInto('orders').values({ item }).execute();
    return (await db.selectFrom('orders').select('item').execute()).length;
  },
  async Knex(db, item) {
    await knex('orders').insert({ item }).connection(db);
    return (await knex('orders').select().connection(db)).length;
  },
  async MikroORM(pool, item) {
    const em = orm.em.fork();
    em.setTransactionContext(overKysely(pool));
    em.create(Order, { item });
    await em.flush();
    return em.count(Order);
  },
};

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Runs a handler over one notification, with a second attempt if it fails. */
async function run(id: string, transaction: boolean, work: (db: Db) => Promise<void>) {
  const pgwatch = createPgwatch({ url: database.url, reporter: silent });
  const consumer = defineConsumer({
    id,
    channels: [id],
    transaction,
    retry: { attempts: 2, backoff: 1 },
    handle: (_, { db }) => work(db),
  });
  await pgwatch.notify(id, 1);
  await (await pgwatch.listen([consumer], { once: true })).done;
  await pgwatch.close();
}

describe.each([true, false])('with transaction: %s', (transaction) => {
  test.each(Object.entries(writers))('%s writes through context.db', async (name, write) => {
    const id = `${name}-${transaction}`;
    const counts: number[] = [];
    await run(id, transaction, async (db) => {
      await notify(db, 'written', id);
      counts.push(await write(db, id));
      if (counts.length === 1) throw new Error('the first attempt fails');
    });
    expect(counts).toEqual(transaction ? [1, 1] : [1, 2]);
    const { rows } = await database.query(
      `select (select count(*)::int from orders where item = $1) as orders,
         (select count(*)::int from pgwatch.notification_log
          where channel = 'written' and payload = to_jsonb($1::text)) as published`,
      [id],
    );
    expect(rows).toEqual([transaction ? { orders: 1, published: 1 } : { orders: 2, published: 2 }]);
  });

  test('Prisma, which has another copy of pg, opens no connection of its own', async () => {
    const reasons: unknown[] = [];
    await run(`Prisma-${transaction}`, transaction, async (db) => {
      const prisma = new PrismaClient({ adapter: new PrismaPg(db) });
      await prisma.order.count().catch((thrown) => reasons.push(thrown));
    });
    const refused = { message: expect.stringContaining('have another copy of pg') };
    expect(reasons).toMatchObject([refused]);
  });

  test('a transaction that a library begins is refused, with the reason', async () => {
    const reasons: unknown[] = [];
    await run(`begin-${transaction}`, transaction, async (client) => {
      const begin = drizzle({ client }).transaction(async (tx) => tx.$count(orders));
      await begin.catch(({ cause }) => reasons.push(cause));
    });
    const reason = transaction
      ? 'pgwatch commits the transaction of context.db'
      : 'To run all of them in one transaction, set transaction: true.';
    const refused = { code: 'handler_failed', message: expect.stringContaining(reason) };
    expect(reasons).toMatchObject([refused]);
  });
});
