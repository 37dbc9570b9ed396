import type { Queryable } from '../database/connect.ts';

/**
 * Tries to take the session locks by which one process at a time runs a consumer. Never waits.
 * @returns the ids of those it got
 */
export async function lockConsumers(
  control: Queryable,
  schema: string,
  consumerIds: readonly string[],
): Promise<string[]> {
  const { rows } = await control.query(
    `select id from unnest($2::text[]) as id
     where pg_try_advisory_lock(hashtextextended('pgwatch owner ' || $1::text || ' ' || id, 0))`,
    [schema, consumerIds],
  );
  return (rows as { id: string }[]).map((row) => row.id);
}

/** Gives the lock of one consumer back. */
export async function unlockConsumer(
  control: Queryable,
  schema: string,
  consumerId: string,
): Promise<void> {
  await control.query(
    `select pg_advisory_unlock(hashtextextended('pgwatch owner ' || $1::text || ' ' || $2::text, 0))`,
    [schema, consumerId],
  );
}
