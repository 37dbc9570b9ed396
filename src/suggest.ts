import { type ErrorCode, PgwatchError } from './errors.ts';

/**
 * The candidate nearest to a mistyped name, as ` Did you mean "x"?`; an empty string if none is
 * near: at most a third of the letters may differ.
 */
export function suggest(name: string, candidates: readonly string[]): string {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(fold(name), fold(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (!best || best.distance > Math.max(1, Math.floor(best.candidate.length / 3))) return '';
  return ` Did you mean "${best.candidate}"?`;
}

/**
 * The options given, if all of them exist.
 * @param of what takes them, like "notify()"
 * @throws PgwatchError input_invalid, or the given code
 */
export function onlyKnown<T extends object>(
  given: T,
  known: readonly string[],
  of: string,
  code: ErrorCode = 'input_invalid',
): T {
  const name = Object.keys(given).find((each) => !known.includes(each));
  if (name === undefined) return given;
  const options = `Options are: ${known.join(', ')}.`;
  throw new PgwatchError(
    code,
    `${name} is not an option of ${of}.${suggest(name, known)} ${options}`,
  );
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

/**
 * The optimal string alignment distance: the number of insertions, deletions, substitutions and
 * swaps of neighbours between two strings.
 */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwapped ? (beforePrevious[j - 2] ?? 0) + 1 : substitution;
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution, swap));
    }
    [beforePrevious, previous] = [previous, current];
  }
  return previous[b.length] ?? 0;
}
