import { spawnSync } from 'node:child_process';
import { makeProject } from './project.ts';

/** True where the shell is installed; else it says loudly what is not tested. */
export function hasShell(shell: string): boolean {
  if (spawnSync(shell, ['--version']).status === 0) return true;
  console.warn(`SKIPPED: completion in ${shell} ("apt-get install ${shell}").`);
  return false;
}

/** The completions that bash offers for a line whose last word is being typed. */
export function completeInBash(script: string, line: string): string[] {
  // As readline takes a line apart: at blanks, and before and after "=".
  const words = line.split(/ +|(?==)|(?<==)/);
  const run = `${script}
complete -p pgwatch >/dev/null || exit 3
COMP_WORDS=(${words.map(quoted).join(' ')})
COMP_CWORD=${words.length - 1}
_pgwatch pgwatch
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return linesOf(spawnSync('bash', ['--norc', '-c', run], { encoding: 'utf8' }));
}

/** The same for zsh: an interactive one on a terminal of its own, in which Tab is pressed. */
export function completeInZsh(file: string, line: string): string[] {
  const folder = makeProject({ '.zshrc': `${ZSH_SETUP}source ${quoted(file)}\nPS1=READY\n` });
  const run = `zmodload zsh/zpty
zpty shell ZDOTDIR=${quoted(folder)} TERM=dumb zsh -d -i
zpty -r shell all '*READY*'
zpty -w -n shell ${quoted(line)}$'\\t'
zpty -r shell all '*END:END*'
zpty -d shell
print -r -- $all`;
  const result = spawnSync('zsh', ['-f', '-c', run], { encoding: 'utf8', timeout: 20_000 });
  if (!result.stdout.includes('END:END')) throw new Error(result.stderr || 'zsh did not answer');
  return [...result.stdout.matchAll(/HIT:(\S+)/g)].map(([, hit = '']) => hit);
}

/** The same for fish, which has a way to ask. */
export function completeInFish(file: string, line: string): string[] {
  const run = `source ${quoted(file)}; complete -C ${quoted(line)}`;
  const lines = linesOf(spawnSync('fish', ['--no-config', '-c', run], { encoding: 'utf8' }));
  // The description stands behind a tab.
  return lines.map((text) => text.split('\t')[0] ?? '');
}

/** What would be added is printed instead, a line each; at the end of it all a mark. */
const ZSH_SETUP = `autoload -Uz compinit; compinit -u -D
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -O hits "$@"
  local hit
  for hit in $hits; do print -r -- "HIT:$hit"; done
}
finish() { print -r -- END:END }
comppostfuncs=(finish)
bindkey '^I' complete-word
`;

function linesOf(result: { status: number | null; stdout: string; stderr: string }): string[] {
  if (result.status !== 0 || result.stderr)
    throw new Error(result.stderr || `exit code ${result.status}`);
  return result.stdout.split('\n').filter((text) => text !== '');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
