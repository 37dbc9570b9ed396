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

/** The statements that make a trigger what it is to be. */
export function triggerSql(
  table: { schema: string; name: string },
  trigger: Trigger,
  names: Names,
  when?: string,
): string[] {
  const { name, operation, isRow, args, isAlways } = trigger;
  const on = quotedTable(table);
  const parts = [
    `create or replace trigger ${pg.escapeIdentifier(name)}`,
    `  after ${operation} on ${on}`,
    ...(isRow || operation === 'truncate' ? [] : [`  referencing ${TRANSITION_TABLES[operation]}`]),
    `  for each ${isRow ? 'row' : 'statement'}`,
    ...(isRow && when !== undefined ? [`  when (${when})`] : []),
    `  execute function ${qualified(names.apiSchema, 'notify_data_change')}(${args.map((arg) => pg.escapeLiteral(arg)).join(', ')})`,
  ];
  const enable = `alter table ${on} enable always trigger ${pg.escapeIdentifier(name)}`;
  return [parts.join('\n'), ...(isAlways ? [enable] : [])];
}

export function dropSql(table: { schema: string; name: string }, triggerName: string): string {
  return `drop trigger if exists ${pg.escapeIdentifier(triggerName)} on ${quotedTable(table)}`;
}

/**
 * Triggers of one event run in the order of their names, those of foreign keys ("RI_…") included. Ours come
 * first: what others change is recorded after what made them change it.
 */
export const TRIGGER_PREFIX = '00_pgwatch_';

const TRANSITION_TABLES: Record<Exclude<Operation, 'truncate'>, string> = {
  insert: 'new table as changed_rows',
  update: 'old table as old_rows new table as new_rows',
  delete: 'old table as changed_rows',
};
