import type { ClientBase } from 'pg';
import { AS_TEXT } from '../database/types.ts';
import { INLINE_TEXT_MAX, UNREADABLE } from './content-sql.ts';
import { contentSql } from './page-sql.ts';

/** How far the rows are complete: with what comes after them they might not fit into memory. */
export type Filled<Row> = {
  count: number;
  /** Those that were removed from the log meanwhile. */
  gone: ReadonlySet<Row>;
};

/**
 * Fetches, one at a time, the contents that were too long to come with their rows: a few bytes may
 * be some hundred megabytes as text, and several of these would be too much for a process, or for
 * the time that a statement has.
 * @param fetch writes them into the row; false if the log has lost it
 * @param bytesMax after so much the next row of this kind is left for another time
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
    // How long what is left out may be, nobody knows.
    const isUnknown = isLeftOut(row) && Number.isFinite(bytesMax);
    bytes += isUnknown ? bytesMax : lengthOf(row);
    // It has been fetched in vain, but keeps no other company.
    if (count > 0 && bytes > bytesMax && lengthOf(row) > INLINE_TEXT_MAX) return { count, gone };
  }
  return { count: rows.length, gone };
}

/**
 * Fetches contents of a row of the log, as long as they may be.
 * @param bytesMax what is longer becomes an empty text
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

/** The places of the contents in a LogRow. */
const CONTENTS = [5, 8, 9];

/** True if one of its contents was too long to come along. */
export function isCut(row: readonly unknown[]): boolean {
  return CONTENTS.some((place) => {
    const content = row[place] as string | null;
    return content !== null && (content === '' || content.length > INLINE_TEXT_MAX);
  });
}

/** True if one of its contents was longer than it was to be fetched. */
export function isLeftOut(row: readonly unknown[]): boolean {
  return CONTENTS.some((place) => row[place] === UNREADABLE);
}

function lengthOf(row: readonly unknown[]): number {
  return CONTENTS.reduce((sum, place) => sum + ((row[place] as string | null)?.length ?? 0), 0);
}
