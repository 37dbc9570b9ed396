import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';

/**
 * Keeps processes from settling leases until the transaction ends. It waits for those that are
 * being settled, and the next statement sees the result.
 */
export async function lockLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  await client.query(
    `select from ${qualified(schema, 'lease')} where consumer_id = $1 order by lease_id for update`,
    [consumerId],
  );
}
