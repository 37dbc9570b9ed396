import type { RowAt } from '../../inspect/history/at.ts';
import { columnLines, versionToJson } from './version.ts';

/** The row, one column per line. */
export function atText({ row }: RowAt, order: readonly string[]): string {
  return columnLines(row ?? {}, order)
    .map((line) => line.trimStart())
    .join('\n');
}

/** What is known about the row at a time, and a sentence about it. */
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
    return (
      `This is not the whole row: notification ${from.notificationId} has only the changed ` +
      'columns, and the log does not go back to the others.'
    );
  }
  return next?.isAfterGap
    ? `The row may have been different: before notification ${next.notificationId} it was ` +
        'changed without a notification, at an unknown time.'
    : null;
}

function sentenceOf({ state, version, next, coveredSince }: RowAt, time: Date): string {
  const at = time.toISOString();
  if (version) {
    const { notificationId, action, createdAt } = version;
    const by = `${action} of ${createdAt.toISOString()} (notification ${notificationId})`;
    return state === 'exists' ? `at ${at}, after ${by}.` : `did not exist at ${at}: ${by}.`;
  }
  if (next && state !== 'unknown') {
    const { notificationId, action, createdAt } = next;
    const first =
      `the first entry in the log is ${action} of ${createdAt.toISOString()} ` +
      `(notification ${notificationId})`;
    return state === 'exists' ? `at ${at}: ${first}.` : `did not exist at ${at}: ${first}.`;
  }
  if (coveredSince && coveredSince > time) {
    const since = coveredSince.toISOString();
    return `at ${at} is unknown: the log covers the table only since ${since}.`;
  }
  if (!coveredSince) return `at ${at} is unknown: the log has no changes of the table.`;
  return next
    ? `at ${at} is unknown: the first entry in the log is a TRUNCATE ` +
        `(notification ${next.notificationId}).`
    : `at ${at} is unknown: the log has no changes of it.`;
}
