import { drizzle as overPg } from 'drizzle-orm/node-postgres';
import { pgTable, serial, text } from 'drizzle-orm/pg-core';
import { drizzle as overPostgresJs } from 'drizzle-orm/postgres-js';
import { createPgwatch } from 'pgwatch';
import { fromDrizzle } from 'pgwatch/adapters';
import type { Library } from './library.ts';

const orders = pgTable('orders', { id: serial().primaryKey(), item: text().notNull() });

export const drizzle: Library = {
  name: 'Drizzle',
  adapter: 'fromDrizzle',
  async open(url) {
    const db = overPg(url, { schema: { orders } });
    const pgwatch = createPgwatch({ url });
    return {
      transact: (item, work) =>
        db.transaction(async (tx) => {
          await tx.insert(orders).values({ item });
          await work(fromDrizzle(tx), tx);
        }),
      mistakes: {
        // @ts-expect-error the database itself is not accepted
        'the database': () => fromDrizzle(db),
        'the database in a transaction': () =>
          // @ts-expect-error
          db.transaction(async () => fromDrizzle(db)),
        'the pool in a transaction': () =>
          db.transaction(() => pgwatch.notify('none', 1, { client: db.$client })),
      },
      close: () => db.$client.end(),
    };
  },
};

export const nestedDrizzle: Library = {
  name: 'Drizzle over Postgres.js, nested',
  adapter: 'fromDrizzle',
  async open(url) {
    const db = overPostgresJs(url);
    return {
      transact: (item, work) =>
        db.transaction((outer) =>
          outer.transaction(async (tx) => {
            await tx.insert(orders).values({ item });
            await work(fromDrizzle(tx), tx);
          }),
        ),
      mistakes: {
        // @ts-expect-error the database itself is not accepted
        'the database': () => fromDrizzle(db),
      },
      close: () => db.$client.end(),
    };
  },
};
