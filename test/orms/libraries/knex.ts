import Knex from 'knex';
import { fromKnex } from 'pgwatch/adapters';
import type { Library } from './library.ts';

export const knex: Library = {
  name: 'Knex',
  adapter: 'fromKnex',
  async open(connection) {
    const db = Knex({ client: 'pg', connection });
    return {
      transact: (item, work) =>
        db.transaction(async (trx) => {
          await trx('orders').insert({ item });
          await work(fromKnex(trx), trx);
        }),
      mistakes: {
        // @ts-expect-error the database itself is not accepted
        'the database': () => fromKnex(db),
        async 'a transaction that has ended'() {
          const trx = await db.transaction();
          await trx.commit();
          fromKnex(trx);
        },
      },
      close: () => db.destroy(),
    };
  },
};
