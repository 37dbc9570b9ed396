/** A line that is in both, in the old one only, or in the new one only. */
export type DiffLine = { kind: ' ' | '-' | '+'; text: string };

/** What differs between two texts, with up to three lines around it; '…' stands for more of what is the same. */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  const start = commonLength(before, after, (lines, index) => lines[index]);
  const rest = [before.slice(start), after.slice(start)] as const;
  const end = commonLength(...rest, (lines, index) => lines[lines.length - 1 - index]);
  const [old, now] = rest.map((lines) => lines.slice(0, lines.length - end));
  const same = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ kind: ' ', text }));
  return shortened([
    ...same(before.slice(0, start)),
    ...differing(old ?? [], now ?? []),
    ...same(before.slice(before.length - end)),
  ]);
}

function commonLength(
  before: readonly string[],
  after: readonly string[],
  at: (lines: readonly string[], index: number) => string | undefined,
): number {
  const most = Math.min(before.length, after.length);
  let length = 0;
  while (length < most && at(before, length) === at(after, length)) length += 1;
  return length;
}

/** By the longest sequence of lines that is in both; of very long texts all of the one, then of the other. */
function differing(before: readonly string[], after: readonly string[]): DiffLine[] {
  const width = after.length + 1;
  const cells = (before.length + 1) * width;
  const line = (kind: DiffLine['kind'], text = ''): DiffLine => ({ kind, text });
  if (cells > CELLS_MAX) {
    return [...before.map((text) => line('-', text)), ...after.map((text) => line('+', text))];
  }
  // How long that sequence is from line i of the one and j of the other on.
  const lengths = new Uint32Array(cells);
  const lengthAt = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        before[i] === after[j]
          ? lengthAt(i + 1, j + 1) + 1
          : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push(line(' ', before[i++]));
      j += 1;
    } else if (
      i < before.length &&
      (j === after.length || lengthAt(i + 1, j) >= lengthAt(i, j + 1))
    ) {
      lines.push(line('-', before[i++]));
    } else {
      lines.push(line('+', after[j++]));
    }
  }
  return lines;
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
const CELLS_MAX = 4_000_000;
