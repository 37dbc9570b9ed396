import { fromTypeorm } from 'pgwatch/adapters';
import { DataSource, EntitySchema } from 'typeorm';
import type { Library } from './library.ts';

const Order = new EntitySchema<{ id: number; item: string }>({
  name: 'orders',
  columns: { id: { type: Number, primary: true, generated: true }, item: { type: String } },
});

export const typeorm: Library = {
  name: 'TypeORM',
  adapter: 'fromTypeorm',
  async open(url) {
    const source = await new DataSource({ type: 'postgres', url, entities: [Order] }).initialize();
    return {
      transact: (item, work) =>
        source.transaction(async (manager) => {
          await manager.save(Order, { item });
          await work(fromTypeorm(manager), manager);
        }),
      mistakes: {
        'the manager of the data source': () => fromTypeorm(source.manager),
        'it, in a transaction': () => source.transaction(async () => fromTypeorm(source.manager)),
        async 'a transaction that has ended'() {
          fromTypeorm(await source.transaction(async (manager) => manager));
        },
      },
      close: () => source.destroy(),
    };
  },
};
