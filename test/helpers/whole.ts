import { test } from 'vitest';
import { isWhole, share } from './share.ts';

/**
 * Selects from similar cases: all of them in a whole run, otherwise one in three (at least one),
 * different ones in each run. The run prints its share, and PGWATCH_TEST_SHARE (0, 1 or 2) repeats
 * it.
 */
export function some<T extends unknown[] | [unknown]>(cases: readonly T[]): T[];
export function some<T>(cases: readonly T[]): T[];
export function some<T>(cases: readonly T[]): T[] {
  if (isWhole) return [...cases];
  const chosen = cases.filter((_, index) => (index + share) % 3 === 0);
  return chosen.length > 0 ? chosen : cases.slice(share % cases.length).slice(0, 1);
}

/** A count or amount: the first value in a whole run, otherwise the second. */
export const size = (whole: number, usual: number): number => (isWhole ? whole : usual);

/** A test that is slow by nature, such as of a limit of 10,000: it runs only in a whole run. */
export const wholeTest = test.runIf(isWhole);
