import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { sameKeySql } from './key-sql.ts';
import { lockedSql } from './locked-sql.ts';

/** Makes deliveries due that are blocked although no earlier one of their key is left. */
export async function wakeOrphans(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  const delivery = qualified(schema, 'delivery');
  const isOrphan = `d.state = 'blocked' and not exists (
    select from ${delivery} as earlier
    where earlier.consumer_id = d.consumer_id and ${sameKeySql('earlier.key', 'd.key')}
      and earlier.state <> 'dead' and earlier.notification_id < d.notification_id)`;
  await client.query(
    `update ${delivery} set state = 'retry', next_attempt_at = clock_timestamp()
     where consumer_id = $1 and notification_id in ${lockedSql(schema, isOrphan)}`,
    [consumerId],
  );
}
