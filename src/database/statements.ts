/**
 * The statements of SQL text, each without the comments before it. Knows what may hold a semicolon: quotes,
 * dollar quotes, comments, and the body of a function that is parsed when it is created.
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

const TOKENS =
  /\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*.*?\*\/|^begin atomic.*?^end|;/gms;
