/**
 * The statements of SQL text, each without the comments before it. Handles semicolons in quotes,
 * dollar quotes, comments, and in the body of a function that is parsed when it is created.
 */
export function statementsIn(sql: string): string[] {
  const statements: string[] = [];
  let statement = '';
  let end = 0;
  for (const { 0: token, index } of sql.matchAll(TOKENS)) {
    const isLeading = statement + sql.slice(end, index).trim() === '';
    const isComment = token.startsWith('--') || token.startsWith('/*');
    statement += sql.slice(end, index) + (isComment && isLeading ? '' : token);
    if (statement.trim() === '') statement = '';
    end = index + token.length;
    if (token !== ';') continue;
    statements.push(statement.trim());
    statement = '';
  }
  return statements;
}

/** A statement from its first word on, without comments and quoted text. */
export function bareWords(sql: string): string {
  const marks = /"(?:[^"]|"")*"|'(?:[^']|'')*'|--[^\n\r]*|\/\*/g;
  let bare = '';
  let end = 0;
  for (let found = marks.exec(sql); found; found = marks.exec(sql)) {
    const [token] = found;
    bare += sql.slice(end, found.index) + (token.startsWith('"') ? 'x' : ' ');
    if (token === '/*') marks.lastIndex = commentEnd(sql, found.index);
    end = marks.lastIndex;
  }
  return (bare + sql.slice(end)).replace(/^[\s;]+/, '');
}

/**
 * Whether the server would read rows from the client for it. COPY FROM STDOUT means the same as
 * STDIN.
 */
export function isCopyFromClient(sql: string): boolean {
  return /^copy\b[^()]*(\([^()]*\)\s*)?\bfrom\s+(stdin|stdout)\b/i.test(bareWords(sql));
}

/** Comments may be nested. */
function commentEnd(sql: string, start: number): number {
  const marks = /\/\*|\*\//g;
  marks.lastIndex = start;
  let depth = 0;
  for (let found = marks.exec(sql); found; found = marks.exec(sql)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return sql.length;
}

const TOKENS =
  /\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*.*?\*\/|^begin atomic.*?^end|;/gms;
