import { defineConsumer } from 'pgwatch';

let [sent, reportedAt] = [0, 0];

/** Sends every notification on the channel "orders" to another system, in order by key. */
export default defineConsumer({
  id: 'webhook',
  channels: ['orders'],
  async handle(notification, { signal, reporter }) {
    const url = process.env.WEBHOOK_URL ?? 'http://127.0.0.1:54330/webhook';
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        // Delivery is at least once: the receiver recognises a repetition by this id.
        'idempotency-key': notification.eventId,
      },
      body: JSON.stringify(notification),
      // A receiver that never answers must not block the consumer, or the shutdown, forever.
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    });
    // Throwing means "again, later": nothing is lost while the receiver is down.
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    sent += 1;
    if (Date.now() - reportedAt < 15_000) return;
    reporter.info(`${sent} posted to ${url}.`);
    reportedAt = Date.now();
  },
});
