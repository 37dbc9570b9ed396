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
 * Refuses the first of the given options that does not exist.
 * @param of what takes the options, like "notify()"
 * @returns what is wrong, in sentences; undefined if all are known
 */
export function unknownOption(
  given: object,
  known: readonly string[],
  of: string,
): string | undefined {
  const name = Object.keys(given).find((each) => !known.includes(each));
  if (name === undefined) return undefined;
  const options = `Options are: ${known.join(', ')}.`;
  return `${name} is not an option of ${of}.${suggest(name, known)} ${options}`;
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
