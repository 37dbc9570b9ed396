import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareSnapshot } from './options.ts';

/** pgwatch snapshot: publishes the existing rows of a table to one consumer. */
export function addSnapshot(program: Command, outcome: CommandResult): void {
  declareSnapshot(program)
    .description('Publish the existing rows of a captured table to one consumer.')
    .addHelpText(
      'after',
      `
Each row arrives as a notification with action SNAPSHOT, and with the key, the
channel and the options of the table's capture. Snapshots and changes made
meanwhile arrive in order: an older version of a row never follows a newer one.
Other consumers receive nothing. If it is interrupted, run it again: it
continues where it stopped.

Examples:
  $ pgwatch snapshot users --consumer search-index
  $ pgwatch snapshot app.orders --consumer analytics --batch-size 200`,
    )
    .action(async (table, options) => (await import('./run.ts')).snapshot(table, options, outcome));
}
