import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import { isOneOfSql } from './channels.ts';

/** Counts the notifications of the channels with ids above an id. */
export async function countNotifications(
  client: Queryable,
  schema: string,
  range: { afterId: number; channels: readonly string[] },
): Promise<number> {
  const { rows } = await client.query(
    `select count(*)::float8 as count from ${qualified(schema, 'notification_log')}
     where id > $1 and ${isOneOfSql(schema, 'channel', '$2')}`,
    [range.afterId, range.channels],
  );
  return (rows[0] as { count: number }).count;
}
