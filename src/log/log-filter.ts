import { parseJson } from '../json.ts';
import type { LogRow } from './notification.ts';
import type { RowCondition } from './page.ts';

/** Selects the notifications that match every condition. Null: no such condition. */
export type LogFilter = {
  channels: readonly string[] | null;
  key: string | null;
  actions: readonly string[] | null;
  /** Captured tables; a table without a schema matches in any schema. */
  tables: readonly { schema: string | null; name: string }[] | null;
};

/**
 * Turns a filter into a condition. Its SQL does not check the schemas of tables, and one row in 64
 * is returned regardless, so has() decides.
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

/** Leaves out conditions that are null. */
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
