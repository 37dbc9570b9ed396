import { defineConsumer } from 'pgwatch';

/** At least once: the mail service recognizes a repeated mail by its key. */
export default defineConsumer<{ id: number; item: string }>({
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
