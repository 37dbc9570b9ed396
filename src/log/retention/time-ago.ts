import type { Queryable } from '../../database/connect.ts';

/**
 * The time this many milliseconds ago, by the server's clock: with its own, a client whose clock is
 * ahead would remove too much.
 */
export async function timeAgo(client: Queryable, ageMs: number): Promise<Date> {
  const { rows } = await client.query(
    `select clock_timestamp() - $1::float8 * interval '1 ms' as time`,
    [ageMs],
  );
  return (rows[0] as { time: Date }).time;
}
