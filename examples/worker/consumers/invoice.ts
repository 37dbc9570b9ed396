import { defineConsumer } from 'pgwatch';

/** Exactly once: the invoice and the position commit together. */
export default defineConsumer<{ id: number }>({
  id: 'invoice',
  channels: ['orders.created'],
  transaction: true,
  handle({ payload: order }, { db }) {
    return db.query('insert into invoices (order_id) values ($1)', [order.id]);
  },
});
