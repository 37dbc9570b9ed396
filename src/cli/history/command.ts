import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareHistory } from './options.ts';

/** pgwatch history: shows the versions of a row of a captured table. */
export function addHistory(program: Command, outcome: CommandResult): void {
  declareHistory(program)
    .description('Show every version of a captured row: who changed what, and when.')
    .addHelpText(
      'after',
      `
The history is read from the log: it goes back as far as the log does, and lacks
what the capture of the table leaves out. Reading the whole log may take a
while; --since reads less. A renamed table has a history under each of its
names, and a row whose key has changed has one under each of its keys.

--at uses the time at which a change was written, by the server's clock; others
saw it when its transaction committed, a little later. The exit code is 1 if the
log does not contain the answer. --undo prints SQL and runs nothing. That SQL
does nothing, or fails, if the row has been changed since.

Examples:
  $ pgwatch history users 42
  $ pgwatch history app.order_lines order_id=7,line=2 --since 7d --diff
  $ pgwatch history users 42 --at 2026-11-20T09:30
  $ pgwatch history users 42 --undo 1043 > undo.sql`,
    )
    .action(async (table, id, options) =>
      (await import('./run.ts')).history({ table, id }, options, outcome),
    );
}
