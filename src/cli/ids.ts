import { PgwatchError } from '../errors.ts';
import { splitList } from './options.ts';

/**
 * Ids of notifications, with spaces or commas between; null where none are asked for.
 * @throws PgwatchError usage, also where a comma may stand in the midst of one: 7,419 is not 7 and
 *   419
 */
export function idsFrom(values: readonly string[]): number[] | null {
  if (values.length === 0) return null;
  const grouped = values.find((value) => GROUPED.test(value));
  if (grouped !== undefined) {
    throw new PgwatchError(
      'usage',
      `"${grouped}" may be one id or several: give ids as they are printed, without separators, and spaces between several.`,
    );
  }
  const texts = splitList(values) ?? [];
  // An empty one is an unset variable of a shell, and must not mean all.
  return [...new Set((texts.length > 0 ? texts : ['']).map(idFrom))];
}

/**
 * The id of one notification.
 * @throws PgwatchError usage
 */
export function idFrom(text: string): number {
  const id = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(id) && id > 0) return id;
  if (UUID.test(text)) {
    throw new PgwatchError(
      'usage',
      `"${text}" is an event id: "pgwatch show ${text}" tells the id of its notification.`,
    );
  }
  throw new PgwatchError(
    'usage',
    `"${text}" is no id of a notification: give a whole number from 1, without separators.`,
  );
}

/** An event id. */
export const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i;

/** A group of three digits behind a comma, as numbers are written for people. */
const GROUPED = /(?<!\d)\d{1,3},\d{3}(?!\d)/;
