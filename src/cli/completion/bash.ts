import { shellQuoted } from '../../shell-word.ts';
import type { CompletionLevel, Flag } from './levels.ts';

/**
 * The script for bash, from 3.2, which macOS has. It needs nothing of the package bash-completion.
 */
export function bashScript(levels: readonly CompletionLevel[]): string {
  const words = levels.map(
    ({ path, words }) =>
      `    ${shellQuoted(path)}) REPLY=${shellQuoted(words.map(({ text }) => text).join(' '))} ;;`,
  );
  const options = levels.map(
    ({ path, options }) =>
      `    ${shellQuoted(path)}) REPLY=${shellQuoted(options.map(({ long }) => long).join(' '))} ;;`,
  );
  const values = levels.flatMap(({ path, options }) =>
    options.flatMap((flag) =>
      flag.value === null
        ? []
        : [`    ${pattern(path, flag)}) REPLY=${shellQuoted(kindOf(flag))} ;;`],
    ),
  );
  return `# Completion for bash, made by "pgwatch completion bash".

_pgwatch_words() {
  case $1 in
${words.join('\n')}
    *) REPLY= ;;
  esac
}

_pgwatch_options() {
  case $1 in
${options.join('\n')}
    *) REPLY= ;;
  esac
}

# What follows an option: nothing, its choices, @file or @text.
_pgwatch_value() {
  case "$1 $2" in
${values.join('\n')}
    *) REPLY= ;;
  esac
}

_pgwatch() {
  local REPLY at word path= skip=
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # bash takes --option=value apart.
  if [[ $current == = ]]; then
    current=
  elif [[ $before == = ]]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if [[ $word == = ]]; then
      skip=1
    elif [[ $skip ]]; then
      skip=
    elif [[ $word == -* ]]; then
      _pgwatch_value "$path" "$word"
      skip=$REPLY
    else
      _pgwatch_words "$path"
      [[ " $REPLY " == *" $word "* ]] && path="$path\${path:+ }$word"
    fi
  done
  _pgwatch_value "$path" "$before"
  case $REPLY in
    @file)
      compopt -o filenames 2>/dev/null
      local IFS=$'\\n'
      COMPREPLY=($(compgen -f -- "$current"))
      return
      ;;
    @text) return ;;
    '')
      if [[ $current == -* ]]; then
        _pgwatch_options "$path"
      else
        _pgwatch_words "$path"
      fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$REPLY" -- "$current"))
}

complete -F _pgwatch pgwatch
`;
}

function kindOf({ value }: Flag): string {
  return typeof value === 'string' ? `@${value}` : (value ?? []).join(' ');
}

/** 'trigger add --payload', and the short form where there is one. */
function pattern(path: string, { long, short }: Flag): string {
  return [long, ...(short ? [short] : [])]
    .map((flag) => shellQuoted(`${path} ${flag}`))
    .join(' | ');
}
