import { defineEntity, MikroORM, p } from '@mikro-orm/postgresql';
import { fromMikroOrm } from 'pgwatch/adapters';
import type { Library } from './library.ts';

const Order = defineEntity({
  name: 'Order',
  tableName: 'orders',
  properties: { id: p.integer().primary(), item: p.string() },
});

export const mikroOrm: Library = {
  name: 'MikroORM',
  adapter: 'fromMikroOrm',
  async open(clientUrl) {
    const orm = await MikroORM.init({ clientUrl, entities: [Order] });
    return {
      transact: (item, work) =>
        orm.em.fork().transactional(async (em) => {
          em.create(Order, { item });
          await em.flush();
          await work(fromMikroOrm(em), em);
        }),
      mistakes: {
        'the manager of the ORM': () => fromMikroOrm(orm.em),
        'a fork of it': () => fromMikroOrm(orm.em.fork()),
        'a fork of one in a transaction': () =>
          orm.em.fork().transactional(async (em) => fromMikroOrm(em.fork())),
      },
      close: () => orm.close(),
    };
  },
};
