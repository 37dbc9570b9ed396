import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { isReadSql } from '../channels.ts';
import type { Stretch } from './replay-stretch.ts';

/** What a stretch asks for but the log or the consumer does not have. */
export type Missing = {
  /** The channels that the consumer reads. */
  channels: string[];
  /** The ids that are not in the log, and those in channels that the consumer does not read. */
  unknownIds: number[];
  foreignIds: number[];
  /** True if no notification of its channels has the key. */
  isKeyUnknown: boolean;
};

/**
 * Reads what is missing; for a key, this takes as long as reading the log. The consumer must be
 * registered.
 */
export async function readMissing(
  client: Queryable,
  schema: string,
  { consumerId, key, ids }: Stretch,
): Promise<Missing> {
  const log = qualified(schema, 'notification_log');
  const { rows } = await client.query(
    `select progress.channels,
       to_jsonb(array(select asked from unnest($2::bigint[]) as asked
         where not exists (select from ${log} as log where log.id = asked)
         order by asked)) as "unknownIds",
       to_jsonb(array(select log.id from ${log} as log
         where log.id = any($2::bigint[]) and not ${isReadSql(schema, 'progress', 'log')}
         order by log.id)) as "foreignIds",
       $3::text is not null and not exists (
         select from ${log} as log where log.key = $3 and ${isReadSql(schema, 'progress', 'log')}
       ) as "isKeyUnknown"
     from ${qualified(schema, 'consumer_progress')} as progress where consumer_id = $1`,
    [consumerId, ids ?? [], key],
  );
  return rows[0] as Missing;
}
