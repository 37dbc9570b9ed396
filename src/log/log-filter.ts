import { parseJson } from '../json.ts';
import type { LogRow } from './notification.ts';
import type { RowCondition } from './page.ts';

/**
 * Which notifications somebody wants to see: those that match all of it. Null: no such restriction.
 */
export type LogFilter = {
  channels: readonly string[] | null;
  key: string | null;
  actions: readonly string[] | null;
  /** Captured tables; without a schema, of any. */
  tables: readonly { schema: string | null; name: string }[] | null;
};

/**
 * The condition that a filter is. The one in SQL lets tables of other schemas pass, and one row in
 * 64 comes along whatever it is: what counts is has().
 */
export function conditionOf(filter: LogFilter): RowCondition {
  const tableNames = filter.tables?.map(({ name }) => name) ?? null;
  const { channels, key, actions, tables } = filter;
  return {
    sql: FILTER_SQL,
    value: JSON.stringify(withoutNulls({ channels, key, actions, tableNames })),
    has: (row) =>
      (channels?.includes(row[3]) ?? true) &&
      (key === null || row[4] === key) &&
      (actions?.includes(row[6] ?? '') ?? true) &&
      (tables === null || isOfTable(row, tables)),
  };
}

/** A list that is not asked for is not there. */
function withoutNulls(lists: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(lists).filter(([, value]) => value !== null));
}

function isOfTable(row: LogRow, tables: NonNullable<LogFilter['tables']>): boolean {
  const [schema, name] = parseJson(row[7] ?? '[]') as string[];
  return tables.some((table) => table.name === name && (table.schema ?? schema) === schema);
}

const FILTER = '$7::jsonb';
const FILTER_SQL = `(
  (not ${FILTER} ? 'channels' or ${FILTER} -> 'channels' ? channel)
  and (not ${FILTER} ? 'key' or ${FILTER} ->> 'key' = key)
  and (not ${FILTER} ? 'actions' or ${FILTER} -> 'actions' ? action)
  and (not ${FILTER} ? 'tableNames' or ${FILTER} -> 'tableNames' ? (relation ->> 1)))`;
