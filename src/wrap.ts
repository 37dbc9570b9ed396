import stringWidth from 'string-width';

/** How many terminal columns the text takes. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/**
 * Wraps a text at the width of the terminal, between words. Commands, statements and URLs are never
 * broken, because people copy them; the terminal breaks those that are longer than a line.
 * @param options.columns the width of the terminal
 * @param options.indent the number of spaces before each line after the first
 * @param options.used columns of the first line before the text; default: the indent
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

/** The width of a terminal; null if the stream is not a terminal, and nothing is wrapped. */
export function terminalColumns(stream: { isTTY?: boolean; columns?: number }): number | null {
  return stream.isTTY ? stream.columns || COLUMNS : null;
}

/** The pieces between which a line may break: words, and unbroken phrases. */
function piecesOf(text: string): string[] {
  const joined = text.replaceAll(UNBROKEN, (whole) => whole.replaceAll(' ', JOIN));
  return joined.split(' ').map((piece) => piece.replaceAll(JOIN, ' '));
}

/** The width of terminals that do not report one. */
const COLUMNS = 80;

/** No text contains it: control characters have been escaped before. */
const JOIN = '\u0000';

const FLAG = / --[\w-]+(?:[= ](?:'[^']*'|[^\s;,]+))?/.source;
const WORD = / [\w.:@/-]+(?![\w.:@/-])(?=[ ;,).]|$)/.source;
const OBJECTS = 'table|index|role|user|database|system|function|view|trigger|schema|sequence';
const STATEMENTS = [
  /select pg_\w+\(/.source,
  `(?:alter|drop|create) (?:[a-z]+ )?(?:${OBJECTS}) `,
  '(?:grant|revoke|reindex|vacuum|delete from|update|insert into) ',
].join('|');

/** Commands in quotes; our own commands with their arguments; statements up to the semicolon. */
const UNBROKEN = new RegExp(
  [
    /"(?:pgwatch|npx|npm|node|pg_\w+|psql|select|alter|drop|create|grant|revoke) [^"]*"/.source,
    `(?:npx )?\\bpgwatch(?: '[^']*'|${FLAG}|${WORD}){1,4}(?:${FLAG})*`,
    /\b(?:npm|npx) [\w-]+ [^\s;,]+/.source,
    `\\b(?:${STATEMENTS})[^;]*;`,
  ].join('|'),
  'g',
);
