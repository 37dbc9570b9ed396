import { diffArrays } from 'diff';

/** A line of both texts, of the old one only, or of the new one only. */
export type DiffLine = { kind: ' ' | '-' | '+'; text: string };

/** The differences between two texts, with three lines of context; '…' replaces other lines. */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  const [old, now] = [[...before], [...after]];
  const changes = diffArrays(old, now, { maxEditLength: EDITS_MAX }) ?? [
    { removed: true, value: old },
    { added: true, value: now },
  ];
  const lines = changes.flatMap(({ added = false, removed = false, value }) =>
    value.map((text): DiffLine => ({ kind: added ? '+' : removed ? '-' : ' ', text })),
  );
  return shortened(lines);
}

function shortened(lines: readonly DiffLine[]): DiffLine[] {
  const isNear = (index: number) =>
    lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ kind }) => kind !== ' ');
  return lines.flatMap((line, index) => {
    if (isNear(index)) return [line];
    return index > 0 && !isNear(index - 1) ? [] : [{ kind: ' ', text: '…' } as const];
  });
}

const CONTEXT = 3;
/**
 * Texts that differ by more edits are shown one after the other: finding the smallest difference
 * would take too long.
 */
const EDITS_MAX = 2000;
