import { pgwatch, prisma } from './database.ts';
import type { Order } from './generated/client.ts';

let following: Promise<void> | undefined;
let cached: Promise<Order[]> | undefined;

/** The newest orders, from memory until any process changes one. */
export async function newestOrders(): Promise<Order[]> {
  following ??= follow();
  await following;
  cached ??= read();
  cached.catch(forget);
  return cached;
}

async function read(): Promise<Order[]> {
  return prisma.order.findMany({ orderBy: { id: 'desc' }, take: 100 });
}

/** Resolves once no change can be missed. Every process follows the channels by itself. */
async function follow(): Promise<void> {
  const changes = pgwatch.subscribe({ channels: ['orders.*'], every: 'process', onGap: forget });
  await changes.ready();
  (async () => {
    for await (const _ of changes) forget();
  })();
}

function forget(): void {
  cached = undefined;
}
