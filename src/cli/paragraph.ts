import { onOneLine } from '../lines.ts';
import { terminalColumns, wrapped } from '../wrap.ts';

/** A sentence for standard output, indented, and broken between words on a terminal. */
export function paragraph(text: string, indent: number): string {
  const line = onOneLine(text);
  const columns = terminalColumns(process.stdout);
  return ' '.repeat(indent) + (columns === null ? line : wrapped(line, { columns, indent }));
}
