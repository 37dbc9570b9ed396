import { Argument, type Command } from 'commander';

/** pgwatch completion: what a shell needs to complete the others. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'which one').choices(['bash', 'zsh', 'fish']))
    .description('Print a script that lets your shell complete commands and options by Tab.')
    .addHelpText(
      'after',
      `
Install it once for each shell, and again after an update of pgwatch:
  bash  into ~/.bashrc: source <(pgwatch completion bash)
  zsh   into ~/.zshrc, behind compinit: source <(pgwatch completion zsh)
  fish  into a file of its own, as in the last example

Commands, options and the values that they choose from are completed, and files.
Names of consumers and tables are not: each Tab would connect to the database.

Examples:
  $ source <(pgwatch completion bash)
  $ pgwatch completion fish > ~/.config/fish/completions/pgwatch.fish`,
    )
    .action(async (shell, _, command: Command) =>
      (await import('./run.ts')).printCompletion(shell, command.parent ?? command),
    );
}
