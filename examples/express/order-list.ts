import type { Pgwatch } from 'pgwatch';
import { db, type Order } from './database.ts';

let cached: Promise<Order[]> | undefined;

/** The newest orders, from memory until any process changes one. */
export function newestOrders(): Promise<Order[]> {
  cached ??= db.selectFrom('orders').selectAll().orderBy('id', 'desc').limit(100).execute();
  cached.catch(forget);
  return cached;
}

/** Resolves once no change can be missed. Every process follows the channels by itself. */
export async function followOrders(pgwatch: Pgwatch): Promise<void> {
  const changes = pgwatch.subscribe({ channels: ['orders.*'], every: 'process', onGap: forget });
  await changes.ready();
  (async () => {
    for await (const _ of changes) forget();
  })();
}

function forget(): void {
  cached = undefined;
}
