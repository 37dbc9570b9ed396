import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/**
 * Makes deliveries due that were filed in the future: the server's clock was ahead then and has
 * been set back since, so a wait of seconds would become hours. A delivery was filed when it last
 * failed, or was replayed; one with neither time was due when it was filed.
 */
export async function mendClockBack(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[],
): Promise<void> {
  const delivery = qualified(schema, 'delivery');
  // Ordered by id, as deliveries are locked everywhere.
  await client.query(
    `update ${delivery} set next_attempt_at = clock_timestamp(),
       last_failed_at = least(last_failed_at, clock_timestamp())
     where (consumer_id, notification_id) in (
       select consumer_id, notification_id from ${delivery}
       where consumer_id = any($1::text[]) and state = 'retry'
         and next_attempt_at > clock_timestamp() + interval '${SLACK}'
         and case when last_failed_at is null and replayed_at is null then attempts = 0
           else coalesce(last_failed_at, replayed_at) > clock_timestamp() + interval '${SLACK}' end
       order by consumer_id, notification_id for update)`,
    [consumerIds],
  );
}

/** Clocks are adjusted by this little all the time. */
const SLACK = '1 second';
