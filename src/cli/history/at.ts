import type { RowAt } from '../../inspect/history/at.ts';
import { columnLines, versionToJson } from './version.ts';

/** The row, a column a line. */
export function atText({ row }: RowAt, order: readonly string[]): string {
  return columnLines(row ?? {}, order)
    .map((line) => line.trimStart())
    .join('\n');
}

/** What is known of the row at a time, and a sentence that says so. */
export function atToJson(found: RowAt, time: Date, order: readonly string[]) {
  const { state, row, version, next, coveredSince } = found;
  return {
    at: time,
    state,
    row,
    version: version && versionToJson(version),
    next: next && versionToJson(next),
    coveredSince,
    sentence: sentenceOf(found, time),
    warning: warningOf(found, order),
  };
}

function warningOf({ row, version, next }: RowAt, order: readonly string[]): string | null {
  const from = version ?? next;
  if (row && from?.isPartial && (order.length === 0 || order.some((name) => !(name in row)))) {
    return `This is not all of the row: notification ${from.notificationId} has only what it changed, and the log does not reach back to the rest.`;
  }
  return next?.isAfterGap
    ? `Before notification ${next.notificationId} something has changed it without one, nobody knows when: it may have been otherwise.`
    : null;
}

function sentenceOf({ state, version, next, coveredSince }: RowAt, time: Date): string {
  const at = time.toISOString();
  if (version) {
    const { notificationId, action, createdAt } = version;
    const by = `${action} of ${createdAt.toISOString()} (notification ${notificationId})`;
    return state === 'exists' ? `at ${at}, as left by ${by}.` : `was not there at ${at}: ${by}.`;
  }
  if (next && state !== 'unknown') {
    const { notificationId, action, createdAt } = next;
    const first = `the first the log has of it is ${action} of ${createdAt.toISOString()} (notification ${notificationId})`;
    return state === 'exists' ? `at ${at}: ${first}.` : `was not there at ${at}: ${first}.`;
  }
  if (coveredSince && coveredSince > time) {
    return `at ${at} is not known: the log tells of the table since ${coveredSince.toISOString()} only.`;
  }
  if (!coveredSince) return `at ${at} is not known: the log has nothing of the table.`;
  return next
    ? `at ${at} is not known: the first the log has of it is a TRUNCATE (notification ${next.notificationId}).`
    : `at ${at} is not known: the log has nothing of it.`;
}
