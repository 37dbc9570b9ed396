import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { lockedSql } from '../deliveries/locked-sql.ts';
import { lockSharedConsumer } from '../leases/lease.ts';
import { lockLeases } from '../leases/lock-leases.ts';
import { IS_PAUSED } from '../positions/progress.ts';

/*
Locks for manual changes to the pending work of a consumer, while daemons may be working on it. An
owner is kept out by the row of its position: settling updates that row first, and fails once the
epoch has changed. Processes that share a consumer are kept out by the lock for taking work and by
their leases.

To avoid deadlocks, every transaction takes its locks in the same order, by hand or not: the lock
for taking work, the row of the position, the leases by their ids, the deliveries by theirs. All
deliveries are locked in one statement, except by transactions that hold one of the first two locks;
a transaction that locks deliveries which somebody chose takes both, to stay out of their way. Only
cleanup does not: it waits for a lock for 100 ms at most, and gives way.
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

/** Locks the position of a consumer until the transaction ends; it may have none. */
export async function lockPosition(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  await client.query(
    `select from ${qualified(schema, 'consumer_progress')} where consumer_id = $1 for update`,
    [consumerId],
  );
}

/** Locks all leases and all deliveries of a consumer whose position is locked. */
export async function lockPending(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  await lockLeases(client, schema, consumerId);
  await client.query(`select from ${lockedSql(schema, 'true')} as locked`, [consumerId]);
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
