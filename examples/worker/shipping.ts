import type { Pool } from 'pg';
import type { Pgwatch } from 'pgwatch';

/** Ships each order. Returns once pgwatch is closed. */
export async function ship(pgwatch: Pgwatch, pool: Pool): Promise<void> {
  const deliveries = pgwatch.subscribe<{ id: number }>({
    consumer: 'shipping',
    channels: ['orders.created'],
  });
  for await (const delivery of deliveries) {
    try {
      const insert = 'insert into shipments (order_id) values ($1) on conflict do nothing';
      await pool.query(insert, [delivery.payload.id]);
      await delivery.ack();
    } catch (error) {
      // Otherwise it took too long, and is delivered again already.
      if (delivery.isOpen) await delivery.nack(error);
    }
  }
}
