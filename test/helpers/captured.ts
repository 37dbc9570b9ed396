import { createTrigger } from '../../src/capture/create-trigger.ts';
import type { TriggerOptions } from '../../src/config/triggers.ts';
import type { TestDatabase } from './database.ts';

export type Captured = { channel: string; key: string; payload: Record<string, unknown> };

/** Creates a table and captures it. */
export async function captureTable(
  database: TestDatabase,
  name: string,
  columns: string,
  options: TriggerOptions = {},
) {
  const client = await database.connect();
  await client.query(`create table ${name} (${columns})`);
  return createTrigger(client, name, options);
}

/** A table's changes as the view shows them, in order. */
export async function changesOf(database: TestDatabase, table: string): Promise<Captured[]> {
  const { rows } = await database.query(
    `select channel, key, payload from pgwatch.notification
     where payload ->> 'table' = $1 order by id`,
    [table],
  );
  return rows;
}

/** A table's changes in short: 'UPDATE 1 name'. */
export async function shortChangesOf(database: TestDatabase, table: string): Promise<string[]> {
  const changes = await changesOf(database, table);
  return changes.map(({ payload }) => {
    const id = payload.id === null ? '-' : JSON.stringify(payload.id);
    const changed = payload.changed as string[] | null;
    return [payload.action, id, ...(changed ? [changed.join(',') || 'nothing'] : [])].join(' ');
  });
}
