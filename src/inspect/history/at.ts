import type { RowImage, RowVersion } from './versions.ts';

/** What the log tells of a row at a time. */
export type RowAt = {
  /** unknown: it does not reach back that far, or has nothing of the row. */
  state: 'exists' | 'absent' | 'unknown';
  row: RowImage | null;
  /** The version that was the last one then. */
  version: RowVersion | null;
  /** The first one later. */
  next: RowVersion | null;
  /** From when on the log tells of the table, where that was asked. */
  coveredSince: Date | null;
};

/**
 * The row as it was at a time. A change counts from when it was written, by the server's clock; its
 * transaction may have committed a little later, and only then did others see it.
 * @param readCoverage from when on the log has every change of the table; asked where nothing older
 *   is there
 */
export async function rowAt(
  versions: AsyncIterable<RowVersion> | Iterable<RowVersion>,
  time: Date,
  readCoverage: () => Promise<Date | null>,
): Promise<RowAt> {
  let version: RowVersion | null = null;
  let next: RowVersion | null = null;
  for await (const each of versions) {
    if (each.createdAt > time) {
      next = each;
      break;
    }
    version = each;
  }
  if (version) {
    const state = version.after ? 'exists' : 'absent';
    return { state, row: version.after, version, next, coveredSince: null };
  }
  const coveredSince = await readCoverage();
  const isCovered = coveredSince !== null && coveredSince <= time;
  const found = { version, next, coveredSince };
  if (!next || !isCovered || next.action === 'TRUNCATE') {
    return { state: 'unknown', row: null, ...found };
  }
  if (next.action === 'INSERT') return { state: 'absent', row: null, ...found };
  // Nothing has changed it until then.
  const row = next.action === 'SNAPSHOT' ? next.after : next.before;
  return { state: 'exists', row, ...found };
}
