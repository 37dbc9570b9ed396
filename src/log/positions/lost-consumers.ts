import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/** A consumer that nobody runs any more, and that reads what another one is to read. */
export type LostConsumer = {
  consumerId: string;
  /** It reads exactly the same channels; else at least one of them. */
  isSame: boolean;
};

/**
 * Finds consumers that read channels of a new one, have no file, and are run or wanted by no daemon
 * that is alive: those that read the same, else those that read some of them.
 * @param asked.knownIds those that there are files for
 */
export async function findLostConsumers(
  client: Queryable,
  schema: string,
  asked: { channels: readonly string[]; knownIds: readonly string[] },
): Promise<LostConsumer[]> {
  const { rows } = await client.query<LostConsumer>(
    `select p.consumer_id as "consumerId",
       own.channels <@ $1::text[] and own.channels @> $1::text[] as "isSame"
     from ${qualified(schema, 'consumer_progress')} as p
     cross join lateral (
       select array_remove(p.channels, 'consumer:' || p.consumer_id) as channels
     ) as own
     where own.channels && $1::text[] and p.consumer_id <> all($2::text[]) and not exists (
       select from ${qualified(schema, 'live_daemon')}
       where daemon_id = p.owner or p.consumer_id = any(consumer_ids || shared_ids))
     order by 1`,
    [asked.channels, asked.knownIds],
  );
  const same = rows.filter(({ isSame }) => isSame);
  return same.length > 0 ? same : rows;
}
