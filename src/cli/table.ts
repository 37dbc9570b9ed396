import { colorsFor, printable } from '../reporter.ts';

/**
 * Prints rows as an aligned table on stdout. Where the terminal is too narrow the last column is
 * cut; into a pipe nothing is.
 */
export function printTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const colors = colorsFor(process.stdout);
  const cells = rows.map((row) => row.map((cell) => printable(cell).replaceAll(/\s/g, ' ')));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const columns = (process.stdout.isTTY && process.stdout.columns) || Number.POSITIVE_INFINITY;
  const line = (row: readonly string[]) => {
    const text = row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
    return text.length > columns ? `${text.slice(0, columns - 1)}…` : text;
  };
  const lines = [colors.bold(line(headings)), ...cells.map(line)];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Prints a value as JSON on stdout, for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0)}\n`);
}
