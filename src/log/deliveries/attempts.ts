import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { lockedSql } from './locked-sql.ts';

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
  const isRecorded = `d.notification_id = any($2::bigint[]) and d.state = 'retry' and d.is_suspect
    and exists (
      select from unnest($2::bigint[], $3::integer[]) as recorded (id, attempt)
      where recorded.id = d.notification_id and recorded.attempt = d.attempts)`;
  await client.query(
    `update ${qualified(schema, 'delivery')} set attempts = attempts - 1
     where consumer_id = $1 and notification_id in ${lockedSql(schema, isRecorded)}`,
    [consumerId, [...recorded.keys()], [...recorded.values()]],
  );
}
