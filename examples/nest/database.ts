import { DataSource, EntitySchema } from 'typeorm';

export type Order = { id: number; item: string };

export const Orders = new EntitySchema<Order>({
  name: 'orders',
  columns: { id: { type: Number, primary: true, generated: true }, item: { type: String } },
});

export const database = {
  provide: DataSource,
  useFactory: () =>
    new DataSource({
      type: 'postgres',
      url: process.env.DATABASE_URL ?? '',
      entities: [Orders],
    }).initialize(),
};
