import type { RowAt } from '../../inspect/history/at.ts';
import type { RowVersion } from '../../inspect/history/versions.ts';

type Shown = Omit<RowVersion, 'source'>;

/** What is known about a row at a time, and a sentence about it. */
export type RowAtReport = Omit<RowAt, 'version' | 'next'> & {
  at: Date;
  /** The last version at that time. */
  version: Shown | null;
  /** The first later version. */
  next: Shown | null;
  sentence: string;
  /** Why the row may have been different; null if it was certainly so. */
  warning: string | null;
};

/** @param order the columns of the table; empty if they are not known */
export function rowAtReport(found: RowAt, time: Date, order: readonly string[]): RowAtReport {
  const { state, row, version, next, coveredSince } = found;
  return {
    at: time,
    state,
    row,
    version: shown(version),
    next: shown(next),
    coveredSince,
    sentence: sentenceOf(found, time),
    warning: warningOf(found, order),
  };
}

function shown(version: RowVersion | null): Shown | null {
  if (!version) return null;
  const { source: _, ...rest } = version;
  return rest;
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
