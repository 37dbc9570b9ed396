import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { type CompletionLevel, levelsOf } from './levels.ts';
import { zshScript } from './zsh.ts';

/** Prints the script of a shell. */
export function printCompletion(shell: keyof typeof SCRIPTS, program: CommandUnknownOpts): void {
  process.stdout.write(SCRIPTS[shell](levelsOf(program)));
}

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } satisfies Record<
  string,
  (levels: readonly CompletionLevel[]) => string
>;
