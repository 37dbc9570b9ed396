import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../../racing/random.ts';
import { WriterConnection } from './connection.ts';
import type { WriterOptions, WriterTools } from './writers.ts';

/**
 * Publishes one notification after another, each with an event id, and repeats each until there is
 * an answer: however often that takes, it is stored once.
 */
export async function runRetryingWriter(
  options: WriterOptions,
  { record, index, stop }: WriterTools,
): Promise<void> {
  const random = seededRandom(options.seed * 1000 + 500 + index);
  const connection = new WriterConnection(options.url);
  const key = `retrying ${index}`;
  for (let sequence = 1; !stop.aborted; sequence++) {
    const token = `r${index}.${sequence}`;
    const payload = { token, key, sequence };
    record.append({ token, outcome: 'unknown' });
    let eventId: string | null = randomUUID();
    for (let isAnswered = false, triesLeft = TRIES_AFTER_STOP; !isAnswered; ) {
      if (stop.aborted && triesLeft-- === 0) return connection.close();
      try {
        const values = [payload, key, eventId];
        await connection.run((client) =>
          client.query(`select smart_notify('torture', $1, $2, $3)`, values),
        );
        isAnswered = true;
      } catch {
        if (options.retryWith === 'no event id') eventId = null;
        await delay(20 + random() * 50);
      }
    }
    record.append({ token, outcome: 'committed' });
    await delay(random() * 10);
  }
  connection.close();
}

/** By then everything that was harmed must have recovered. */
const TRIES_AFTER_STOP = 200;
