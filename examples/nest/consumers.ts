import { defineConsumer } from 'pgwatch';
import type { Order } from './database.ts';

/** At least once: the mail service recognizes a repeated mail by its key. */
export const confirmation = defineConsumer<Order>({
  id: 'confirmation',
  channels: ['orders.created'],
  retry: { attempts: 10, backoff: '500ms' },
  async handle({ payload: order, eventId }, { signal }) {
    const response = await fetch(process.env.MAIL_URL ?? 'http://localhost:8025', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': eventId },
      body: JSON.stringify({ subject: `Order ${order.id}: ${order.item}` }),
      signal,
    });
    if (!response.ok) throw new Error(`The mail service answered ${response.status}.`);
  },
});

/** Exactly once: the invoice and the position commit together. */
export const invoice = defineConsumer<Order>({
  id: 'invoice',
  channels: ['orders.created'],
  transaction: true,
  handle({ payload: order }, { db }) {
    return db.query('insert into invoices (order_id) values ($1)', [order.id]);
  },
});
