import { inject, test } from 'vitest';

/**
 * Whether everything runs, as `npm run test:whole` and CI have it; `npm test` leaves out what takes
 * long.
 */
export const isWhole = Boolean(process.env.PGWATCH_TEST_WHOLE);

/**
 * Of cases that differ in a detail: all of them in a whole run, else one in three (at least one),
 * others each time. The run says which, and PGWATCH_TEST_SHARE (0, 1 or 2) repeats them.
 */
export function some<T extends unknown[] | [unknown]>(cases: readonly T[]): T[];
export function some<T>(cases: readonly T[]): T[];
export function some<T>(cases: readonly T[]): T[] {
  if (isWhole) return [...cases];
  const share = inject('share');
  const chosen = cases.filter((_, index) => (index + share) % 3 === 0);
  return chosen.length > 0 ? chosen : cases.slice(share % cases.length).slice(0, 1);
}

/** How often, or how much: the first in a whole run, else the second. */
export const size = (whole: number, usual: number): number => (isWhole ? whole : usual);

/** A test of what takes seconds by its nature, a limit of 10,000, say: of a whole run only. */
export const wholeTest = test.runIf(isWhole);
