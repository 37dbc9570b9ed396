import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { lockSharedConsumer } from '../leases/lease.ts';
import { IS_PAUSED } from '../positions/progress.ts';

/*
Locks for manual changes to the pending work of a consumer, while daemons may be working on it. An
owner is kept out by the row of its position: settling updates that row first, and fails once the
epoch has changed. Processes that share a consumer are kept out by the lock for taking work and by
their leases. To avoid deadlocks, the order is always the same: the lock for taking work, the row of
the position, the leases, the deliveries.
*/

/** If the consumer is shared, keeps processes from taking its work until the transaction ends. */
export async function lockTaking(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  await lockSharedConsumer(client, schema, consumerId);
  // A manual change must not be lost in a crash.
  await client.query('set local synchronous_commit to default');
}

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

/**
 * The condition that a live daemon runs the consumer of the row progress. While it is paused, an
 * owner may still be releasing it; processes that share it take nothing then.
 */
export function isLiveSql(schema: string): string {
  return `exists (
    select from ${qualified(schema, 'live_daemon')} as live
    where live.daemon_id = progress.owner
      or progress.is_shared and not ${IS_PAUSED} and progress.consumer_id = any(live.shared_ids))`;
}
