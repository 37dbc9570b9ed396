import { diffArrays } from 'diff';

/** A line that is in both, in the old one only, or in the new one only. */
export type DiffLine = { kind: ' ' | '-' | '+'; text: string };

/**
 * What differs between two texts, with up to three lines around it; '…' stands for more equal
 * lines.
 */
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
 * Texts that differ by more are shown one after the other: finding the least difference would take
 * long.
 */
const EDITS_MAX = 2000;
