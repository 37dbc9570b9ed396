import type { RowImage, RowVersion } from './versions.ts';

/** What the log tells about a row at a point in time. */
export type RowAt = {
  /** unknown: the log does not reach back that far, or has nothing about the row. */
  state: 'exists' | 'absent' | 'unknown';
  row: RowImage | null;
  /** The last version at that time. */
  version: RowVersion | null;
  /** The first later version. */
  next: RowVersion | null;
  /** From when on the log covers the table; null if not known, or not read. */
  coveredSince: Date | null;
};

/**
 * Finds the row as it was at a point in time. A change counts from when it was written, by the
 * server's clock. Its transaction may have committed a little later, and others saw it only then.
 * @param readCoverage from when on the log has every change of the table; called only if there is
 *   no older version
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
  // Nothing changed it before the next version.
  const row = next.action === 'SNAPSHOT' ? next.after : next.before;
  return { state: 'exists', row, ...found };
}
