import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/** A consumer that no daemon runs any more, and that reads channels of a new consumer. */
export type LostConsumer = {
  consumerId: string;
  /** True if it reads exactly the same channels; otherwise it reads at least one of them. */
  isSame: boolean;
};

/**
 * Finds consumers that read channels of a new one, have no file, and are neither run nor wanted by
 * a live daemon: those that read the same channels or, if there are none, those that read some of
 * them.
 * @param asked.knownIds the consumers that have files
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
