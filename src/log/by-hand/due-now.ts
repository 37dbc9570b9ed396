import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { withTransaction } from '../../database/transaction.ts';
import { tellDaemons } from '../positions/daemons.ts';

/**
 * Makes everything that waits for a retry due at once, as if the time had passed.
 * @param consumerId null: for all consumers
 * @returns how many wait
 */
export async function makeDue(
  client: ClientBase,
  schema: string,
  consumerId: string | null,
): Promise<number> {
  const delivery = qualified(schema, 'delivery');
  return withTransaction(client, async () => {
    // Ordered by id, as deliveries are locked everywhere.
    const { rowCount } = await client.query(
      `update ${delivery} set next_attempt_at = least(next_attempt_at, now())
       where (consumer_id, notification_id) in (
         select consumer_id, notification_id from ${delivery}
         where state = 'retry' and ($1::text is null or consumer_id = $1)
         order by consumer_id, notification_id for update)`,
      [consumerId],
    );
    await tellDaemons(client, schema, 'retry');
    return rowCount ?? 0;
  });
}
