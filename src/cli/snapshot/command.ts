import type { Command } from 'commander';
import { addCommonOptions, type CommandResult, wholeNumber } from '../options.ts';

/** pgwatch snapshot: hands the rows that a table already has to one consumer. */
export function addSnapshot(program: Command, outcome: CommandResult): void {
  addCommonOptions(
    program
      .command('snapshot')
      .argument('<table>', 'a captured table')
      .requiredOption('--consumer <id>', 'who gets the rows')
      .option('--again', 'start over instead of going on')
      .option(
        '--batch-size <n>',
        'how many rows are handed over, and locked, at once',
        wholeNumber(1, 10_000),
        1000,
      )
      .option('--json', 'print what was done as JSON'),
  )
    .description('Hand the rows that a table already has to one consumer.')
    .addHelpText(
      'after',
      `
Each row comes as a notification of action SNAPSHOT, with the key, the channel
and the options of the table's capture, in order with the changes that are made
meanwhile: a row is never overwritten by what it was before. Other consumers get
nothing of it. Interrupted, it goes on where it was when it is run again.

Examples:
  $ pgwatch snapshot users --consumer search-index
  $ pgwatch snapshot app.orders --consumer analytics --batch-size 200`,
    )
    .action(async (table, options) => (await import('./run.ts')).snapshot(table, options, outcome));
}
