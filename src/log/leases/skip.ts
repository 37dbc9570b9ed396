import type { ClientBase } from 'pg';
import { readNewestPosition } from '../positions/beginning.ts';
import type { Position } from '../positions/position.ts';
import { noteBeginning } from '../positions/progress.ts';
import { saveSharedPosition } from './shared-position.ts';

/**
 * Moves a consumer past everything that is visible now: what it has missed is never delivered. Call
 * it in a transaction that has locked the consumer's position.
 * @returns the new position
 */
export async function skipToNewest(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<Position> {
  const position = await readNewestPosition(client, schema);
  await saveSharedPosition(client, schema, consumerId, position);
  await noteBeginning(client, schema, consumerId);
  return position;
}
