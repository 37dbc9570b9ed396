import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/**
 * What a consumer has not settled of its channels; what failed has a delivery, and is not counted.
 */
export type Lag = {
  unread: number;
  /** False where there is so much that the rest is estimated by the ids. */
  isExact: boolean;
  /** When the oldest of them was written; null where none was seen. */
  oldestAt: Date | null;
};

/** Reads the lag of consumers, by id: bounded work, however much is unread. Null: of all. */
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
