import { spawnSync } from 'node:child_process';
import { makeProject } from './project.ts';

/** Returns true if the shell is installed; otherwise warns that its completion is not tested. */
export function hasShell(shell: string): boolean {
  if (spawnSync(shell, ['--version']).status === 0) return true;
  console.warn(`SKIPPED: completion in ${shell} ("apt-get install ${shell}").`);
  return false;
}

/** The completions that bash offers for a line whose last word is being typed. */
export function completeInBash(script: string, line: string): string[] {
  // readline splits a line at blanks, and before and after "=".
  const words = line.split(/ +|(?==)|(?<==)/);
  const run = `${script}
complete -p pgwatch >/dev/null || exit 3
COMP_WORDS=(${words.map(quoted).join(' ')})
COMP_CWORD=${words.length - 1}
_pgwatch pgwatch
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return linesOf(spawnSync('bash', ['--norc', '-c', run], { encoding: 'utf8' }));
}

/**
 * Like completeInBash(), for zsh and several lines: an interactive zsh on a pseudo-terminal, in
 * which Tab is pressed.
 */
export function completeInZsh(file: string, lines: readonly string[]): string[][] {
  const folder = makeProject({ '.zshrc': `${ZSH_SETUP}source ${quoted(file)}\nPS1=READY\n` });
  const run = `zmodload zsh/zpty
zpty shell ZDOTDIR=${quoted(folder)} TERM=dumb zsh -d -i
zpty -r shell all '*READY*'
for line in "$@"; do
  # Ctrl-U takes the line before away.
  zpty -w -n shell $'\\x15'$line$'\\t'
  zpty -r shell all '*END:END*'
  print -r -- $all
done
zpty -d shell`;
  const args = ['-f', '-c', run, 'zsh', ...lines];
  const { stdout, stderr } = spawnSync('zsh', args, { encoding: 'utf8', timeout: 30_000 });
  const answers = stdout.split('END:END').slice(0, -1);
  if (answers.length < lines.length) throw new Error(stderr || 'zsh did not answer');
  return answers.map((text) => [...text.matchAll(/HIT:(\S+)/g)].map(([, hit = '']) => hit));
}

/** Like completeInBash(), for fish, which has a command for it. */
export function completeInFish(file: string, line: string): string[] {
  const run = `source ${quoted(file)}; complete -C ${quoted(line)}`;
  const lines = linesOf(spawnSync('fish', ['--no-config', '-c', run], { encoding: 'utf8' }));
  // The description follows after a tab.
  return lines.map((text) => text.split('\t')[0] ?? '');
}

/** Prints what would be added, one per line, and a mark at the end. */
const ZSH_SETUP = `autoload -Uz compinit; compinit -u -D
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -O hits "$@"
  local hit
  for hit in $hits; do print -r -- "HIT:$hit"; done
}
# zsh resets it after each run.
finish() { print -r -- END:END; comppostfuncs=(finish) }
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
