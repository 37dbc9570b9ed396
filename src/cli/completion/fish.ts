import type { CompletionLevel, Flag } from './levels.ts';

/** The script for fish. */
export function fishScript(levels: readonly CompletionLevel[]): string {
  const paths = levels.map(({ path }) => path).filter((path) => path !== '');
  const withValue = levels.flatMap(({ path, options }) =>
    options.flatMap(({ long, short, value }) =>
      value === null ? [] : [long, ...(short ? [short] : [])].map((flag) => `${path} ${flag}`),
    ),
  );
  const lines = levels.flatMap(({ path, words, options }) => {
    const condition = `complete -c pgwatch -n ${quoted(`__pgwatch_at ${quoted(path)}`)}`;
    return [
      ...words.map(
        ({ text, description }) => `${condition} -a ${quoted(text)} -d ${quoted(description)}`,
      ),
      ...options.map((flag) => `${condition} ${flagText(flag)} -d ${quoted(flag.description)}`),
    ];
  });
  return `# Completion for fish, made by "pgwatch completion fish".

set -g __pgwatch_paths ${paths.map(quoted).join(' ')}
set -g __pgwatch_with_value ${withValue.map(quoted).join(' ')}

# True where the commands on the command line lead to this one.
function __pgwatch_at
    set -l path ''
    set -l skip ''
    for word in (commandline -opc)[2..-1]
        if test -n "$skip"
            set skip ''
        else if string match -q -- '-*' $word
            contains -- "$path $word" $__pgwatch_with_value; and set skip 1
        else if contains -- (string trim -- "$path $word") $__pgwatch_paths
            set path (string trim -- "$path $word")
        end
    end
    test "$path" = "$argv[1]"
end

complete -c pgwatch -f
${lines.join('\n')}
`;
}

function flagText({ long, short, value }: Flag): string {
  const names = [`-l ${long.slice(2)}`, ...(short ? [`-s ${short.slice(1)}`] : [])].join(' ');
  if (value === null) return names;
  if (value === 'file') return `${names} -r -F`;
  return value === 'text' ? `${names} -x` : `${names} -x -a ${quoted(value.join(' '))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
