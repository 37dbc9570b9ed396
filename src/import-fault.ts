import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

/**
 * Says on one line why a user's file could not be used, with the line in the file if it is known:
 * `consumers/email.ts:3: no API key.`
 */
export function describeFault(file: string, thrown: unknown): string {
  const path = relative(process.cwd(), file);
  if (!(thrown instanceof Error)) return `${path}: it threw ${inspect(thrown)}.`;
  const first = places(thrown)[0] ?? syntaxErrorPlace(file, thrown);
  const line = first?.path === file ? `:${first.line}` : '';
  const elsewhere =
    first && first.path !== file
      ? ` (in ${relative(process.cwd(), first.path)}:${first.line})`
      : '';
  const kind = thrown.name === 'Error' ? '' : `${thrown.name}: `;
  const message = oneLine(thrown.message);
  const hint = hintFor(thrown);
  const end = /[?!]$/.test(message + hint + elsewhere) ? '' : '.';
  return `${path}${line}: ${kind}${message}${hint}${elsewhere}${end}`;
}

/** Leaves out the excerpt that some parsers append after an empty line. */
function oneLine(message: string): string {
  const [text = ''] = message.trim().split(/\n\s*\n/);
  return text.replaceAll(/\s+/g, ' ').replace(/\.$/, '');
}

export type SourcePlace = { path: string; line: number };

/** The places in users' files named by the error's stack, innermost first. */
export function places({ stack = '' }: Error): SourcePlace[] {
  const found: SourcePlace[] = [];
  for (const match of stack.matchAll(
    /(?<![^\s(])(file:\/\/[^\s)]+?|\/[^\s()]+?):(\d+)(?=[:\s)]|$)/g,
  )) {
    const [, location = '', line] = match;
    const path = location.startsWith('file:') ? fileURLToPath(location) : location;
    const isOurs = OWN_FOLDERS.some((folder) => path.startsWith(folder));
    if (!isOurs && !path.includes('/node_modules/')) found.push({ path, line: Number(line) });
  }
  return found;
}

/**
 * Finds the line where JavaScript cannot be parsed: import() does not report it; node --check does,
 * without running the file.
 */
function syntaxErrorPlace(file: string, error: Error): SourcePlace | undefined {
  if (error.name !== 'SyntaxError' || !/\.m?js$/.test(file)) return undefined;
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' });
  const line = /:(\d+)\r?\n/.exec(stderr ?? '')?.[1];
  return line === undefined ? undefined : { path: file, line: Number(line) };
}

function hintFor({ message, code = '' }: Error & { code?: string }): string {
  if (message.startsWith('Cannot use import statement outside a module')) return MODULE_HINT;
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return SYNTAX_HINT;
  if (code !== 'ERR_MODULE_NOT_FOUND') return '';
  const [, kind, wanted = ''] = /^Cannot find (module|package) '([^']+)'/.exec(message) ?? [];
  if (kind === 'package') return /^[@~]\//.test(wanted) ? ALIAS_HINT : '';
  const source = wanted.replace(/\.([cm]?)js$/, '.$1ts');
  return source !== wanted && existsSync(source)
    ? `; there is ${basename(source)}: import that, ${WITH_TSX}`
    : '';
}

const OWN_FOLDERS = ['.', '../bin/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));

const MODULE_HINT =
  '; package.json makes it CommonJS: run "npm pkg set type=module", or name the file .mts';

const WITH_TSX = 'or install tsx and set NODE_OPTIONS="--import tsx"';

const SYNTAX_HINT =
  '; Node.js runs TypeScript by stripping the types, which does not work for enums, namespaces ' +
  `and parameter properties: use others, ${WITH_TSX}`;

const ALIAS_HINT =
  '; Node.js does not know the paths in tsconfig.json: use "imports" in package.json, whose ' +
  `names begin with #, ${WITH_TSX}`;
