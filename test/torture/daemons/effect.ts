import { Pool } from 'pg';
import type { Notification } from '../../../src/log/notification.ts';
import type { Payload } from '../writers/transaction.ts';

/** What handlers write with: context.db, or a pool of their own. */
export type Database = { query(text: string, values: unknown[]): Promise<unknown> };

/** For handlers that write outside the transaction they are given. */
export function openPool(url: string): Pool {
  const pool = new Pool({ connectionString: url, max: 4, allowExitOnIdle: true });
  pool.on('error', () => {});
  return pool;
}

/** Writes a row each time a notification is handled. */
export async function writeEffect(
  db: Database,
  { id, eventId, payload }: Notification<Payload>,
  consumer: string,
): Promise<void> {
  await db.query(
    `insert into torture.effect (consumer, notification_id, event_id, token)
     values ($1, $2, $3, $4)`,
    [consumer, id, eventId, payload.token],
  );
}
