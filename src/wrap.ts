import stringWidth from 'string-width';

/** How many columns of a terminal the text needs. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/**
 * Breaks a text between words where a terminal's line ends; never a command, a statement or a URL,
 * which are there to be copied: where one is longer than a line, the terminal breaks it.
 * @param options.columns of the terminal
 * @param options.indent of the lines after the first, as spaces
 * @param options.used columns of the first line before the text; default: as many as the others
 */
export function wrapped(
  text: string,
  { columns, indent, used = indent }: { columns: number; indent: number; used?: number },
): string {
  const lines: string[] = [];
  let line = '';
  let width = used;
  for (const piece of piecesOf(text)) {
    const pieceWidth = widthOf(piece);
    if (line !== '' && width + 1 + pieceWidth > columns) {
      lines.push(line);
      line = piece;
      width = indent + pieceWidth;
    } else {
      width += pieceWidth + (line === '' ? 0 : 1);
      line = line === '' ? piece : `${line} ${piece}`;
    }
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`);
}

/** The width of a terminal; null for what is not one, where nothing is broken. */
export function terminalColumns(stream: { isTTY?: boolean; columns?: number }): number | null {
  return stream.isTTY ? stream.columns || COLUMNS : null;
}

/** Words, and what stays together. */
function piecesOf(text: string): string[] {
  const joined = text.replaceAll(UNBROKEN, (whole) => whole.replaceAll(' ', JOIN));
  return joined.split(' ').map((piece) => piece.replaceAll(JOIN, ' '));
}

/** Where nothing else is known of a terminal. */
const COLUMNS = 80;

/** Nobody's text holds it: control characters are escaped before. */
const JOIN = '\u0000';

/**
 * Commands in quotes; commands of ours, with what may be their arguments; statements up to their
 * semicolon.
 */
const UNBROKEN = new RegExp(
  [
    /"(?:pgwatch|npx|npm|node|pg_\w+|psql|select|alter|drop|create|grant|revoke) [^"]*"/,
    /(?:npx )?\bpgwatch(?: '[^']*'| --[\w-]+(?:[= ](?:'[^']*'|[^\s;,]+))?| [\w.:@/-]+(?![\w.:@/-])(?=[ ;,).]|$)){1,4}(?: --[\w-]+(?:[= ](?:'[^']*'|[^\s;,]+))?)*/,
    /\b(?:npm|npx) [\w-]+ [^\s;,]+/,
    /\b(?:select pg_\w+\(|(?:alter|drop|create) (?:[a-z]+ )?(?:table|index|role|user|database|system|function|view|trigger|schema|sequence) |(?:grant|revoke|reindex|vacuum|delete from|update|insert into) )[^;]*;/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);
