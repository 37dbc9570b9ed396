import { InvalidArgumentError } from '@commander-js/extra-typings';
import { parseDurationMs } from '../../time.ts';
import { momentFrom } from '../moment.ts';

/**
 * When something is to end: a duration from now with its unit, in milliseconds, or a time as in ISO
 * 8601, which is local time unless it names a zone.
 * @throws InvalidArgumentError
 */
export function parseUntil(text: string): Date | number {
  const isTime = /^\d{4}-/.test(text);
  const end = isTime ? momentFrom(text) : /[a-z]$/.test(text) ? parseDurationMs(text) : undefined;
  if (typeof end === 'number' && Date.now() + end > LAST_MS) {
    throw new InvalidArgumentError(
      'That is beyond the year 9999: without --until it is paused until you resume it.',
    );
  }
  if (end === undefined || end === 0) {
    throw new InvalidArgumentError(
      'Give a duration from now like 30m, 2h or 7d, or a time to come like 2026-11-30T06:00.',
    );
  }
  return end;
}

const LAST_MS = Date.UTC(9999, 11, 31);
