import { InvalidArgumentError } from '@commander-js/extra-typings';
import { parseDurationMs } from '../../time.ts';
import { momentFrom } from '../moment.ts';

/**
 * Parses when something ends: a duration from now with its unit, returned in milliseconds, or a
 * time in ISO 8601, which is local time unless it has a zone.
 * @throws InvalidArgumentError
 */
export function parseUntil(text: string): Date | number {
  const isTime = /^\d{4}-/.test(text);
  const end = isTime ? momentFrom(text) : /[a-z]$/.test(text) ? parseDurationMs(text) : undefined;
  if (typeof end === 'number' && Date.now() + end > LAST_MS) {
    throw new InvalidArgumentError(
      'That is after the year 9999: leave out --until to pause it until you resume it.',
    );
  }
  if (end === undefined || end === 0) {
    throw new InvalidArgumentError(
      'Give a duration from now like 30m, 2h or 7d, or a future time like 2026-11-30T06:00.',
    );
  }
  return end;
}

const LAST_MS = Date.UTC(9999, 11, 31);
