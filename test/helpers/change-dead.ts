import type { ClientBase } from 'pg';
import {
  changeDeadLetters,
  type DeadLetterAction,
  type Picked,
} from '../../src/log/by-hand/dead-letter-change.ts';
import { type DeliveryFilter, NO_FILTER } from '../../src/log/deliveries/filter.ts';

/** Retries or discards dead letters, all by default, as `pgwatch dlq` does. */
export async function changeDead(
  client: ClientBase,
  action: DeadLetterAction,
  { isDryRun = false, ...filter }: Partial<DeliveryFilter> & { isDryRun?: boolean } = {},
): Promise<Picked[][]> {
  const change = { action, filter: { ...NO_FILTER, ...filter }, isDryRun };
  return Array.fromAsync(changeDeadLetters(client, 'pgwatch', change));
}
