import { InvalidArgumentError } from '@commander-js/extra-typings';
import { parseDurationMs } from '../time.ts';

/**
 * Parses a point in time: an age with its unit ('1h', '-1h', '7d'), 'now', or a date or time in
 * ISO 8601, which is local time unless it has a zone.
 * @throws InvalidArgumentError
 */
export function parseMoment(text: string): Date {
  const moment = momentFrom(text);
  if (moment) return moment;
  throw new InvalidArgumentError(
    'Give an age like 30m, 2h or 7d, or a time like 2026-11-20T09:30 or 2026-11-20T09:30Z.',
  );
}

/** Like parseMoment(), but undefined if the text is not a point in time. */
export function momentFrom(text: string, now = Date.now()): Date | undefined {
  if (text === 'now') return new Date(now);
  const ageMs = ageFrom(text);
  // The log is not older than 1970.
  if (ageMs !== undefined) return new Date(Math.max(0, now - ageMs));
  const parts =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  if (!parts) return undefined;
  // JavaScript takes a date without a time as UTC; everything else here is local time.
  const [, day, time = '00:00', zone = ''] = parts;
  const moment = new Date(`${day}T${time}${zone}`);
  if (Number.isNaN(moment.getTime())) return undefined;
  // JavaScript accepts 30 February as 2 March.
  return new Date(`${day}T00:00Z`).toISOString().startsWith(`${day}T`) ? moment : undefined;
}

/** The age in milliseconds that a text like '1h' or '-1h' names; undefined if it names none. */
export function ageFrom(text: string): number | undefined {
  return /[a-z]$/.test(text) ? parseDurationMs(text.replace(/^-/, '')) : undefined;
}
