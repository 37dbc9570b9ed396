import type { Notification } from '../../../src/log/notification.ts';
import type { Database } from './effect.ts';

/**
 * Applies a change of a table to a consumer's mirror, and records that it did; see mirror-sql.ts.
 * @returns false if the notification is not about a table
 */
export async function mirror(
  db: Database,
  { id, change }: Pick<Notification, 'id' | 'change'>,
  consumer: string,
): Promise<boolean> {
  if (!change) return false;
  const place = [consumer, change.table, JSON.stringify(change.id)];
  await db.query('insert into torture.mirrored (consumer, notification_id) values ($1, $2)', [
    consumer,
    id,
  ]);
  if ('new' in change) {
    await db.query(
      `insert into torture.mirror (consumer, source, id, row) values ($1, $2, $3, $4)
       on conflict (consumer, source, id) do update set row = excluded.row`,
      [...place, JSON.stringify(change.new)],
    );
  } else {
    await db.query(
      'delete from torture.mirror where (consumer, source, id) = ($1, $2, $3::jsonb)',
      place,
    );
  }
  return true;
}
