import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { fromKysely } from 'pgwatch/adapters';
import type { Library } from './library.ts';

export type Tables = { orders: { item: string } };

const open = (url: string) =>
  new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
    plugins: [new CamelCasePlugin()],
  });

export const kysely: Library = {
  name: 'Kysely',
  adapter: 'fromKysely',
  async open(url) {
    const db = open(url);
    return {
      transact: (item, work) =>
        db.transaction().execute(async (trx) => {
          await trx.insertInto('orders').values({ item }).execute();
          await work(fromKysely(trx), trx);
        }),
      mistakes: {
        // @ts-expect-error the database itself is not accepted
        'the database': () => fromKysely(db),
        // @ts-expect-error nor is a connection of it
        'a connection': () => db.connection().execute(async (one) => fromKysely(one)),
      },
      close: () => db.destroy(),
    };
  },
};

export const controlledKysely: Library = {
  name: 'Kysely, controlled',
  adapter: 'fromKysely',
  async open(url) {
    const db = open(url);
    return {
      async transact(item, work) {
        const trx = await db.startTransaction().execute();
        try {
          await trx.insertInto('orders').values({ item }).execute();
          await work(fromKysely(trx), trx);
          await trx.commit().execute();
        } catch (thrown) {
          await trx.rollback().execute();
          throw thrown;
        }
      },
      mistakes: {},
      close: () => db.destroy(),
    };
  },
};
