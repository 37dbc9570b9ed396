import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/**
 * Takes back attempts that were recorded before a call whose outcome may not be saved, because the
 * consumer has another owner by now: a seek or a handover is not a failure of the handler. If the
 * new owner has recorded an attempt of its own, nothing changes.
 * @param recorded the number of the attempt, by notification id
 */
export async function takeBackAttempts(
  client: Queryable,
  schema: string,
  consumerId: string,
  recorded: ReadonlyMap<number, number>,
): Promise<void> {
  if (recorded.size === 0) return;
  await client.query(
    `update ${qualified(schema, 'delivery')} as d set attempts = d.attempts - 1
     from unnest($2::bigint[], $3::integer[]) as recorded (id, attempt)
     where d.consumer_id = $1 and d.notification_id = recorded.id and d.attempts = recorded.attempt
       and d.state = 'retry' and d.is_suspect`,
    [consumerId, [...recorded.keys()], [...recorded.values()]],
  );
}
