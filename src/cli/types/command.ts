import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareTypes } from './options.ts';

/** pgwatch types: writes TypeScript types for the captured tables. */
export function addTypes(program: Command, outcome: CommandResult): void {
  declareTypes(program)
    .description('Write TypeScript types for the captured tables.')
    .addHelpText(
      'after',
      `
With the file anywhere in your project, the compiler knows the rows of a change:
after a check that change.table is 'users', change.new.email is typed. You can
also import the row types from it by name. The types follow the tables and the
contents of their payloads: run it again after a migration or "pgwatch trigger
add".

Examples:
  $ pgwatch types
  $ pgwatch types --out pgwatch-types.ts
  $ pgwatch types --out pgwatch-types.ts --check     in CI, after the migrations`,
    )
    .action(async (options) => (await import('./run.ts')).types(options, outcome));
}
