import { shellQuoted } from '../../shell-word.ts';
import type { CompletionLevel, Flag } from './levels.ts';

/** The script for zsh: to be sourced, or as a file _pgwatch on the fpath. */
export function zshScript(levels: readonly CompletionLevel[]): string {
  const words = levels.map(({ path, words }) => {
    const items = words.map(({ text, description }) =>
      shellQuoted(`${escaped(text)}:${description}`),
    );
    return `    ${shellQuoted(path)}) reply=(${items.join(' ')}) ;;`;
  });
  const options = levels.map(({ path, options }) => {
    const items = options.map(({ long, description }) => shellQuoted(`${long}:${description}`));
    return `    ${shellQuoted(path)}) reply=(${items.join(' ')}) ;;`;
  });
  const values = levels.flatMap(({ path, options }) =>
    options.flatMap((flag) =>
      flag.value === null ? [] : [`    ${pattern(path, flag)}) reply=(${kindOf(flag)}) ;;`],
    ),
  );
  return `#compdef pgwatch
# Completion for zsh, made by "pgwatch completion zsh".

_pgwatch_words() {
  case $1 in
${words.join('\n')}
    *) reply=() ;;
  esac
}

_pgwatch_options() {
  case $1 in
${options.join('\n')}
    *) reply=() ;;
  esac
}

# What follows an option: nothing, its choices, @file or @text.
_pgwatch_value() {
  case "$1 $2" in
${values.join('\n')}
    *) reply=() ;;
  esac
}

_pgwatch() {
  local -a reply
  local word at= skip= current=$words[CURRENT] before=$words[CURRENT-1]
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $skip ]]; then
      skip=
    elif [[ $word == -*=* ]]; then
      continue
    elif [[ $word == -* ]]; then
      _pgwatch_value "$at" "$word"
      skip=$reply[1]
    else
      _pgwatch_words "$at"
      [[ -n \${(M)reply:#\${word}:*} ]] && at="$at\${at:+ }$word"
    fi
  done
  if [[ $current == --*=* ]]; then
    before=\${current%%=*}
    compset -P '*='
  fi
  _pgwatch_value "$at" "$before"
  case $reply[1] in
    @file) _files ;;
    @text) return 1 ;;
    '')
      if [[ $current == -* ]]; then
        _pgwatch_options "$at"
        _describe -o option reply
      else
        _pgwatch_words "$at"
        _describe command reply
      fi
      ;;
    *) compadd -a reply ;;
  esac
}

if [[ $funcstack[1] == _pgwatch ]]; then
  _pgwatch "$@"
else
  compdef _pgwatch pgwatch
fi
`;
}

function kindOf({ value }: Flag): string {
  return (typeof value === 'string' ? [`@${value}`] : (value ?? [])).map(shellQuoted).join(' ');
}

/** 'trigger add --payload', and the short form where there is one. */
function pattern(path: string, { long, short }: Flag): string {
  return [long, ...(short ? [short] : [])].map((flag) => shellQuoted(`${path} ${flag}`)).join('|');
}

/** A colon would end the word. */
function escaped(text: string): string {
  return text.replaceAll(':', '\\:');
}
