import { onOneLine } from '../lines.ts';
import { terminalColumns, wrapped } from '../wrap.ts';

/** Text for standard output, indented, and wrapped if that is a terminal. */
export function paragraph(text: string, indent: number): string {
  const line = onOneLine(text);
  const columns = terminalColumns(process.stdout);
  return ' '.repeat(indent) + (columns === null ? line : wrapped(line, { columns, indent }));
}
