import type { ClientBase } from 'pg';
import type { DeliveryScope } from '../deliveries/delivery.ts';
import { unblockAll } from '../deliveries/standing.ts';
import { noteOrder } from '../positions/progress.ts';
import { lockSharedConsumer } from './lease.ts';
import { absorbLeases } from './settle.ts';

/**
 * Records whether a shared consumer is ordered by key, and adapts what processes with another order
 * have left. Without order, nothing stays blocked. With order, free leases without a slot become
 * deliveries, which wait for each other: processes would work on several of these side by side,
 * though they have notifications of the same keys. Runs in a transaction.
 */
export async function changeOrder(
  client: ClientBase,
  schema: string,
  scope: DeliveryScope,
): Promise<void> {
  const { consumerId, isOrdered } = scope;
  await lockSharedConsumer(client, schema, consumerId);
  const hasChanged = await noteOrder(client, schema, scope);
  // Even if the order is the same: a process of the old version may have left since, and blocked
  // some. After noteOrder(), which processes read when they file.
  if (!isOrdered) await unblockAll(client, schema, consumerId);
  else if (hasChanged) await absorbLeases(client, schema, consumerId, 'unordered');
}
