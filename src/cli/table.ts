import { jsonText, onOneLine } from '../lines.ts';
import { colorsFor } from '../reporter.ts';
import { widthOf } from '../wrap.ts';

export { widthOf };

/**
 * Prints rows as an aligned table on stdout. On a terminal that is too narrow, lines are cut; in a
 * pipe they are not.
 */
export function printTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  process.stdout.write(`${tableLines(headings, rows).join('\n')}\n`);
}

/** The lines of an aligned table. */
export function tableLines(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Paint = PLAIN,
): string[] {
  const colors = colorsFor(process.stdout);
  const cells = rows.map((row) => row.map(onOneLine));
  const widths = widthsOf(headings, cells);
  const columns = stdoutColumns();
  const line = (row: readonly string[], paintCell: Paint): string => {
    const text = row
      .map((cell, column) => {
        const rest = ' '.repeat((widths[column] ?? 0) - widthOf(cell));
        return paintCell(cell, headings[column] ?? '') + rest;
      })
      .join('  ')
      .trimEnd();
    // A line that has to be cut has no colours: their codes would be cut, too.
    return paintCell === PLAIN || widthOf(text) <= columns
      ? cutToWidth(text, columns)
      : line(row, PLAIN);
  };
  return [colors.bold(line(headings, PLAIN)), ...cells.map((row) => line(row, paint))];
}

/** Colours the text of a cell. */
export type Paint = (text: string, heading: string) => string;

const PLAIN: Paint = (text) => text;

/** How many columns of a terminal a table takes. */
export function tableWidth(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): number {
  const widths = widthsOf(
    headings,
    rows.map((row) => row.map(onOneLine)),
  );
  return widths.reduce((sum, width) => sum + 2 + width, -2);
}

function widthsOf(headings: readonly string[], cells: readonly (readonly string[])[]): number[] {
  return headings.map((heading, column) =>
    cells.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? '')), heading.length),
  );
}

/** The text; if it is wider than the given columns, cut, with an ellipsis at the end. */
export function cutToWidth(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let cut = '';
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    width += widthOf(segment);
    if (width >= columns) break;
    cut += segment;
  }
  return `${cut}…`;
}

/** The end of the text if it is wider than the given columns: the end of a key tells more. */
export function endOfWidth(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  const reversed = [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment).reverse();
  const cut = cutToWidth(reversed.join(''), columns).slice(0, -1);
  const kept = [...new Intl.Segmenter().segment(cut)].length;
  return `…${reversed.slice(0, kept).reverse().join('')}`;
}

/** The width of the terminal; infinite if stdout is not a terminal. */
export function stdoutColumns(): number {
  return (process.stdout.isTTY && process.stdout.columns) || Number.POSITIVE_INFINITY;
}

/** Prints a value as JSON on stdout, for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonText(value, process.stdout.isTTY ? 2 : 0)}\n`);
}
