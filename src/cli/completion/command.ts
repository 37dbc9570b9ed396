import { Argument, type Command } from '@commander-js/extra-typings';

/** pgwatch completion: prints a completion script for a shell. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'your shell').choices(['bash', 'zsh', 'fish']))
    .description('Print a script that makes your shell complete commands and options.')
    .addHelpText(
      'after',
      `
Install it once for each shell, and again after updating pgwatch:
  bash  in ~/.bashrc: source <(pgwatch completion bash)
  zsh   in ~/.zshrc, after compinit: source <(pgwatch completion zsh)
  fish  in a file of its own, as in the last example

It completes commands, options, their values if they are a fixed set, and files.
It does not complete consumers and tables: each Tab would connect to the
database.

Examples:
  $ source <(pgwatch completion bash)
  $ pgwatch completion fish > ~/.config/fish/completions/pgwatch.fish`,
    )
    .action(async (shell, _, command) =>
      (await import('./run.ts')).printCompletion(shell, command.parent ?? command),
    );
}
