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
  const cells = rows.map((row) => row.map(onOneLine));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const columns = stdoutColumns();
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

/** The width of the terminal that stdout is; without end where it is none. */
export function stdoutColumns(): number {
  return (process.stdout.isTTY && process.stdout.columns) || Number.POSITIVE_INFINITY;
}

/** A text of anybody's for a line of ours: it can neither steer the terminal nor begin a line. */
export function onOneLine(text: string): string {
  return printable(text).replaceAll(/\s/g, ' ');
}

/** Prints a value as JSON on stdout, for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonText(value, process.stdout.isTTY ? 2 : 0)}\n`);
}

/**
 * JSON that a terminal can show: JSON.stringify leaves some control characters as they are, and
 * what printable() makes of them is how JSON writes them.
 */
export function jsonText(value: unknown, indent: number): string {
  return printable(JSON.stringify(value, null, indent));
}
