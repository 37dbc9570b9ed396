import type { ClientBase } from 'pg';
import { AS_TEXT } from '../database/types.ts';
import { INLINE_TEXT_MAX, UNREADABLE } from './content-sql.ts';
import { contentSql } from './page-sql.ts';

/** How many rows are complete; together with the rest they might not fit into memory. */
export type Filled<Row> = {
  count: number;
  /** Rows that were removed from the log in the meantime. */
  gone: ReadonlySet<Row>;
};

/**
 * Fetches, one at a time, the contents that were too long to come with their rows. A few bytes can
 * become hundreds of megabytes as text; several of these would be too much for the memory of a
 * process, or for the time limit of a statement.
 * @param fetch writes the contents into the row; returns false if the log no longer has the row
 * @param bytesMax once this much is read, leaves further long rows for a later call
 */
export async function fillLong<Row extends readonly unknown[]>(
  rows: readonly Row[],
  fetch: (row: Row) => Promise<boolean>,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<Filled<Row>> {
  const gone = new Set<Row>();
  let bytes = 0;
  for (const [count, row] of rows.entries()) {
    if (isCut(row)) {
      if (count > 0 && bytes >= bytesMax - INLINE_TEXT_MAX) return { count, gone };
      if (!(await fetch(row))) gone.add(row);
    }
    // The length of contents that were left out is unknown.
    const isUnknown = isLeftOut(row) && Number.isFinite(bytesMax);
    bytes += isUnknown ? bytesMax : lengthOf(row);
    // This row has been fetched in vain; it is too long to be returned together with others.
    if (count > 0 && bytes > bytesMax && lengthOf(row) > INLINE_TEXT_MAX) return { count, gone };
  }
  return { count: rows.length, gone };
}

/**
 * Fetches the contents of a row of the log, however long they are.
 * @param bytesMax longer contents become an empty text
 * @returns false if the log no longer has the row
 */
export async function fetchContent(
  client: ClientBase,
  schema: string,
  row: readonly unknown[],
  bytesMax?: number,
): Promise<boolean> {
  const { rows } = await client.query<(string | null)[]>({
    text: contentSql(schema, bytesMax),
    values: [[row[0]], [row[1]]],
    rowMode: 'array',
    types: AS_TEXT,
  });
  const [, payload = null, oldRow = null, newRow = null] = rows[0] ?? [];
  Object.assign(row, { 5: payload, 8: oldRow, 9: newRow });
  return rows.length > 0;
}

/** The indexes of the contents in a LogRow. */
const CONTENTS = [5, 8, 9];

/** True if any of its contents was too long to come with the row. */
export function isCut(row: readonly unknown[]): boolean {
  return CONTENTS.some((place) => {
    const content = row[place] as string | null;
    return content !== null && (content === '' || content.length > INLINE_TEXT_MAX);
  });
}

/** True if any of its contents exceeded the limit when it was fetched. */
export function isLeftOut(row: readonly unknown[]): boolean {
  return CONTENTS.some((place) => row[place] === UNREADABLE);
}

function lengthOf(row: readonly unknown[]): number {
  return CONTENTS.reduce((sum, place) => sum + ((row[place] as string | null)?.length ?? 0), 0);
}
