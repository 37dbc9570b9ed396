import { shellQuoted } from '../../shell-word.ts';
import type { CompletionLevel, Flag } from './levels.ts';

/** How a shell assigns what it offers. */
export type Assignments = {
  words(words: CompletionLevel['words']): string;
  options(options: readonly Flag[]): string;
  /** What follows an option that takes a value. */
  value(flag: Flag): string;
  nothing: string;
};

/** Functions that look up what is offered after a command, or after one of its options. */
export function lookupFunctions(levels: readonly CompletionLevel[], to: Assignments): string {
  const words = levels.map(({ path, words }) => [shellQuoted(path), to.words(words)] as const);
  const options = levels.map(
    ({ path, options }) => [shellQuoted(path), to.options(options)] as const,
  );
  const values = levels.flatMap(({ path, options }) =>
    options
      .filter(({ value }) => value !== null)
      .map((flag) => [pattern(path, flag), to.value(flag)] as const),
  );
  const cases = (lines: readonly (readonly [pattern: string, assignment: string])[]) =>
    [...lines, ['*', to.nothing]].map(([what, then]) => `    ${what}) ${then} ;;`).join('\n');
  return `_pgwatch_words() {
  case $1 in
${cases(words)}
  esac
}

_pgwatch_options() {
  case $1 in
${cases(options)}
  esac
}

# What follows an option: nothing, its choices, @file or @text.
_pgwatch_value() {
  case "$1 $2" in
${cases(values)}
  esac
}`;
}

/** 'trigger add --payload', and the short form if there is one. */
function pattern(path: string, { long, short }: Flag): string {
  return [long, ...(short ? [short] : [])]
    .map((flag) => shellQuoted(`${path} ${flag}`))
    .join(' | ');
}
