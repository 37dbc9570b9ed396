import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Operation } from '../config/triggers.ts';
import { type Names, qualified } from '../database/names.ts';
import { quotedTable } from './table-name.ts';

/** A trigger as it is to be, or as it is. */
export type Trigger = {
  name: string;
  operation: Operation;
  isRow: boolean;
  /** The arguments of notify_data_change: the channel and the options. */
  args: readonly string[];
  /** It runs also where a subscription writes. */
  isAlways: boolean;
};

type Place = { schema: string; name: string };

/**
 * The statements that make a trigger what it is to be.
 * @param isThere one of ours has its name, and is replaced. Another one's never is: the statement
 *   fails.
 */
export function triggerSql(
  table: Place,
  trigger: Trigger,
  names: Names,
  { when, isThere = false }: { when?: string | undefined; isThere?: boolean } = {},
): string[] {
  const { name, operation, isRow, args, isAlways } = trigger;
  const on = quotedTable(table);
  const parts = [
    `create ${isThere ? 'or replace ' : ''}trigger ${pg.escapeIdentifier(name)}`,
    `  after ${operation} on ${on}`,
    ...(isRow || operation === 'truncate' ? [] : [`  referencing ${TRANSITION_TABLES[operation]}`]),
    `  for each ${isRow ? 'row' : 'statement'}`,
    ...(isRow && when !== undefined ? [`  when (${when})`] : []),
    `  execute function ${qualified(names.apiSchema, 'notify_data_change')}(${args.map((arg) => pg.escapeLiteral(arg)).join(', ')})`,
  ];
  const enable = `alter table ${on} enable always trigger ${pg.escapeIdentifier(name)}`;
  return [parts.join('\n'), ...(isAlways ? [enable] : [])];
}

export function dropSql(table: Place, name: string): string {
  return `drop trigger if exists ${pg.escapeIdentifier(name)} on ${quotedTable(table)}`;
}

/**
 * What a trigger of ours is called: two installations in one database may capture the same table.
 */
export function triggerName({ schema }: Pick<Names, 'schema'>, operation: Operation): string {
  if (schema === 'pgwatch') return `${TRIGGER_PREFIX}${operation}`;
  const isShort = Buffer.byteLength(schema) <= SCHEMA_BYTES_MAX;
  const part = isShort
    ? schema
    : createHash('sha256').update(schema).digest('hex').slice(0, SCHEMA_BYTES_MAX);
  return `${TRIGGER_PREFIX}${part}_${operation}`;
}

/**
 * Triggers of one event run in the order of their names, those of foreign keys ("RI_…") included.
 * Ours come first: what others change is recorded after what made them change it.
 */
export const TRIGGER_PREFIX = '00_pgwatch_';

/** A name has 63 bytes, and "00_pgwatch__truncate" has 20 of them. */
const SCHEMA_BYTES_MAX = 43;

const TRANSITION_TABLES: Record<Exclude<Operation, 'truncate'>, string> = {
  insert: 'new table as changed_rows',
  update: 'old table as old_rows new table as new_rows',
  delete: 'old table as changed_rows',
};
