import { PrismaPg } from '@prisma/adapter-pg';
import { fromPrisma } from 'pgwatch/adapters';
import { PrismaClient } from '../generated/prisma/client.ts';
import type { Library } from './library.ts';

export const prisma: Library = {
  name: 'Prisma',
  adapter: 'fromPrisma',
  async open(connectionString) {
    const client = new PrismaClient({ adapter: new PrismaPg({ connectionString }) });
    return {
      transact: (item, work) =>
        client.$transaction(async (tx) => {
          await tx.order.create({ data: { item } });
          await work(fromPrisma(tx), tx);
        }),
      mistakes: {
        // @ts-expect-error the client itself is not accepted
        'the client': () => fromPrisma(client),
        // @ts-expect-error nor is an extended one
        'an extended client': () => fromPrisma(client.$extends({})),
      },
      close: () => client.$disconnect(),
    };
  },
};

export const extendedPrisma: Library = {
  name: 'Prisma, extended',
  adapter: 'fromPrisma',
  async open(connectionString) {
    const client = new PrismaClient({ adapter: new PrismaPg({ connectionString }) }).$extends({
      model: { order: { total: () => 0 } },
    });
    return {
      transact: (item, work) =>
        client.$transaction(async (tx) => {
          await tx.order.create({ data: { item } });
          await work(fromPrisma(tx), tx);
        }),
      mistakes: {},
      close: () => client.$disconnect(),
    };
  },
};
