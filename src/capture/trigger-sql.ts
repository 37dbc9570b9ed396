import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Operation } from '../config/triggers.ts';
import { type Names, qualified } from '../database/names.ts';
import { quotedTable } from './table-name.ts';

/** A wanted or existing trigger. */
export type Trigger = {
  name: string;
  operation: Operation;
  isRow: boolean;
  /** The arguments of notify_data_change: the channel and the options. */
  args: readonly string[];
  /** True if it also fires for changes made by a subscription. */
  isAlways: boolean;
};

type Place = { schema: string; name: string };

/**
 * The statements that create or replace a trigger.
 * @param isThere whether one of our triggers has its name and is replaced. A trigger that is not
 *   ours is never replaced: the statement fails.
 */
export function triggerSql(
  table: Place,
  trigger: Trigger,
  names: Names,
  { when, isThere = false }: { when?: string | undefined; isThere?: boolean } = {},
): string[] {
  const { name, operation, isRow, args, isAlways } = trigger;
  const on = quotedTable(table);
  const call = `${qualified(names.apiSchema, 'notify_data_change')}(${literals(args)})`;
  const parts = [
    `create ${isThere ? 'or replace ' : ''}trigger ${pg.escapeIdentifier(name)}`,
    `  after ${operation} on ${on}`,
    ...(isRow || operation === 'truncate' ? [] : [`  referencing ${TRANSITION_TABLES[operation]}`]),
    `  for each ${isRow ? 'row' : 'statement'}`,
    ...(isRow && when !== undefined ? [`  when (${when})`] : []),
    `  execute function ${call}`,
  ];
  const enable = `alter table ${on} enable always trigger ${pg.escapeIdentifier(name)}`;
  return [parts.join('\n'), ...(isAlways ? [enable] : [])];
}

function literals(args: readonly string[]): string {
  return args.map((arg) => pg.escapeLiteral(arg)).join(', ');
}

export function dropSql(table: Place, name: string): string {
  return `drop trigger if exists ${pg.escapeIdentifier(name)} on ${quotedTable(table)}`;
}

/** The name of our trigger. Two installations in one database may capture the same table. */
export function triggerName({ schema }: Pick<Names, 'schema'>, operation: Operation): string {
  if (schema === 'pgwatch') return `${TRIGGER_PREFIX}${operation}`;
  const isShort = Buffer.byteLength(schema) <= SCHEMA_BYTES_MAX;
  const part = isShort
    ? schema
    : createHash('sha256').update(schema).digest('hex').slice(0, SCHEMA_BYTES_MAX);
  return `${TRIGGER_PREFIX}${part}_${operation}`;
}

/**
 * Triggers for the same event run in the order of their names, including those of foreign keys
 * ("RI_…"). Ours run first, so changes made by other triggers are recorded after their cause.
 */
export const TRIGGER_PREFIX = '00_pgwatch_';

/** A name can have 63 bytes, and "00_pgwatch__truncate" takes 20 of them. */
const SCHEMA_BYTES_MAX = 43;

const TRANSITION_TABLES: Record<Exclude<Operation, 'truncate'>, string> = {
  insert: 'new table as changed_rows',
  update: 'old table as old_rows new table as new_rows',
  delete: 'old table as changed_rows',
};
