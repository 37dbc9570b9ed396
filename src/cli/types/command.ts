import type { Command } from 'commander';
import { addCommonOptions, type CommandResult } from '../options.ts';

/** pgwatch types: what the compiler is to know of the captured tables. */
export function addTypes(program: Command, outcome: CommandResult): void {
  addCommonOptions(
    program
      .command('types')
      .option('--out <file>', 'write this file (default: print on stdout)')
      .option('--check', 'write nothing; exit code 1 if the file would change'),
  )
    .description('Write TypeScript types for the captured tables.')
    .addHelpText(
      'after',
      `
With the file anywhere in your project, the compiler knows the rows of a change:
once change.table is compared with 'users', change.new.email is checked. The row
types can be imported from it by their names. It goes by the tables and by what
their payloads hold: run it again after a migration or "pgwatch trigger add".

Examples:
  $ pgwatch types
  $ pgwatch types --out pgwatch-types.ts
  $ pgwatch types --out pgwatch-types.ts --check     in CI, after the migrations`,
    )
    .action(async (options) => (await import('./run.ts')).types(options, outcome));
}
