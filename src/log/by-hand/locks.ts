import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { sameKeySql } from '../deliveries/key-sql.ts';
import { lockSharedConsumer } from '../leases/lease.ts';
import { IS_PAUSED } from '../positions/progress.ts';

/*
For changes that somebody makes by hand to what a consumer has before it, while daemons may be at work on
it. An owner is kept out by the row of its position: what it settles goes through that first, and fails
once the epoch is another. Those who share a consumer are kept out by the lock of taking and by their
leases. The order is always the same, so that nobody waits for each other: the lock of taking, the row of
the position, the leases, the deliveries.
*/

/** Until the transaction ends nobody takes work of the consumer, should it be shared. */
export async function lockTaking(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  await lockSharedConsumer(client, schema, consumerId);
  // What somebody asked for by hand is not to be lost in a crash.
  await client.query('set local synchronous_commit to default');
}

/**
 * Until the transaction ends nobody settles what is leased: what was being settled is done by then,
 * and the next statement sees it.
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

/** Makes due what is blocked behind nothing any longer. */
export async function wakeOrphans(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<void> {
  const delivery = qualified(schema, 'delivery');
  await client.query(
    `update ${delivery} as d set state = 'retry', next_attempt_at = clock_timestamp()
     where consumer_id = $1 and state = 'blocked' and not exists (
       select from ${delivery} as earlier
       where earlier.consumer_id = d.consumer_id and ${sameKeySql('earlier.key', 'd.key')}
         and earlier.state <> 'dead' and earlier.notification_id < d.notification_id)`,
    [consumerId],
  );
}

/**
 * The condition that somebody who is alive runs the consumer of the row progress. While it is
 * paused, an owner may still be letting go of it; those who share it take nothing then.
 */
export function isLiveSql(schema: string): string {
  return `exists (
    select from ${qualified(schema, 'live_daemon')} as live
    where live.daemon_id = progress.owner
      or progress.is_shared and not ${IS_PAUSED} and progress.consumer_id = any(live.shared_ids))`;
}
