import { PgwatchError } from '../errors.ts';
import { splitList } from './options.ts';

/**
 * Parses ids of notifications, separated by spaces or commas; null if there are none.
 * @throws PgwatchError usage, also if a comma may be a thousands separator: 7,419 is not 7 and 419
 */
export function idsFrom(values: readonly string[]): number[] | null {
  if (values.length === 0) return null;
  const grouped = values.find((value) => GROUPED.test(value));
  if (grouped !== undefined) {
    throw new PgwatchError(
      'usage',
      `"${grouped}" may be one id or several: write ids as they are printed, ` +
        'without thousands separators, and separate them by spaces.',
    );
  }
  const texts = splitList(values) ?? [];
  // An empty value comes from an unset shell variable, and must not mean all.
  return [...new Set((texts.length > 0 ? texts : ['']).map(idFrom))];
}

/**
 * Parses the id of one notification.
 * @throws PgwatchError usage
 */
export function idFrom(text: string): number {
  const id = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(id) && id > 0) return id;
  if (UUID.test(text)) {
    throw new PgwatchError(
      'usage',
      `"${text}" is an event id: "pgwatch show ${text}" shows the id of its notification.`,
    );
  }
  throw new PgwatchError(
    'usage',
    `"${text}" is not a notification id: give a whole number from 1, without separators.`,
  );
}

/** An event id. */
export const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i;

/** Three digits after a comma, as in numbers formatted for people. */
const GROUPED = /(?<!\d)\d{1,3},\d{3}(?!\d)/;
