import type { ClientBase } from 'pg';
import type { TriggerOptions } from '../config/triggers.ts';
import type { TriggerPlace } from './change-triggers.ts';
import type { TriggerChange } from './changes.ts';

/**
 * Captures the changes of a table from now on, like "pgwatch trigger add". In a transaction of the
 * caller it becomes part of that, so it can be used in migrations. If the table is already
 * captured, these options replace the previous ones.
 * @param table like app.users; without a schema, it is searched for on the search path
 * @returns what it did, and warnings for the author of the call
 * @throws PgwatchError table_unsuitable, table_locked, input_invalid, permission_denied,
 *   schema_missing
 */
export async function createTrigger(
  client: ClientBase,
  table: string,
  options: TriggerOptions & TriggerPlace = {},
): Promise<{ kind: TriggerChange['kind']; warnings: string[] }> {
  const { addTriggers } = await import('./change-triggers.ts');
  return addTriggers(client, table, options);
}

/**
 * Stops capturing a table: drops all triggers that call notify_data_change, including manually
 * created ones.
 * @throws like createTrigger
 */
export async function dropTrigger(
  client: ClientBase,
  table: string,
  place: TriggerPlace = {},
): Promise<{ kind: TriggerChange['kind'] }> {
  const { removeTriggers } = await import('./change-triggers.ts');
  return removeTriggers(client, table, place);
}
