/** A client, a pool or a test database. */
type Publisher = { query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> };

/** Publishes a notification, on channel c unless told otherwise. Returns its id. */
export async function publish(
  by: Publisher,
  payload: unknown,
  { channel = 'c', key = null }: { channel?: string; key?: string | null } = {},
): Promise<number> {
  const { rows } = await by.query('select smart_notify($1, $2::jsonb, $3)::float8 as id', [
    channel,
    JSON.stringify(payload),
    key,
  ]);
  return (rows[0] as { id: number }).id;
}

/**
 * Publishes each number of a range, on channel c unless told otherwise, in one transaction.
 * @param keys is the number of different keys; without it, the notifications have none
 */
export async function publishRange(
  by: Publisher,
  from: number,
  to: number,
  { channel = 'c', keys }: { channel?: string; keys?: number } = {},
): Promise<void> {
  await by.query(
    `select count(smart_notify($1, to_jsonb(n), 'key:' || n % $4::int))
     from generate_series($2::int, $3::int) as n`,
    [channel, from, to, keys],
  );
}

/** Publishes each number of a range on channel c, in a transaction of its own. */
export async function publishOneByOne(by: Publisher, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await publish(by, n);
}
