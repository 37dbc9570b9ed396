import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/**
 * The notifications of its channels that a consumer has not settled. Failed ones have a delivery
 * and are not counted.
 */
export type Lag = {
  unread: number;
  /** False if there are so many that the rest is estimated from the ids. */
  isExact: boolean;
  /** When the oldest of them was written; null if none was seen. */
  oldestAt: Date | null;
};

/** Reads the lag of consumers, by id; null: of all. The work is bounded, however much is unread. */
export async function readLags(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[] | null,
): Promise<Map<string, Lag>> {
  const { rows } = await client.query(
    `select consumer_id as id, unread::float8, is_exact as "isExact", oldest_at as "oldestAt"
     from ${qualified(schema, 'consumer_lag')}($1)`,
    [consumerIds],
  );
  return new Map((rows as (Lag & { id: string })[]).map(({ id, ...lag }) => [id, lag]));
}

/** The time of the server, with which notifications are written. */
export async function readClock(client: Queryable): Promise<Date> {
  const { rows } = await client.query('select clock_timestamp() as now', []);
  return (rows[0] as { now: Date }).now;
}
