import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { SeekTarget } from '../../log/by-hand/seek.ts';
import { momentFrom } from '../moment.ts';

/**
 * Parses the target of a seek.
 * @throws InvalidArgumentError
 */
export function parseTarget(text: string): SeekTarget {
  if (text === 'start' || text === 'now') return text;
  const number = Number(text);
  if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(number) && number !== 0) {
    return /^\d/.test(text) ? number : { by: number };
  }
  const moment = momentFrom(text);
  if (moment) return moment;
  throw new InvalidArgumentError(
    'Give start, now, an id, +100 or -100, an age like -1h, or a time like 2026-11-20T09:30.',
  );
}
