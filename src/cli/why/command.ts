import type { Command } from 'commander';
import { PgwatchError } from '../../errors.ts';
import { addCommonOptions, type CommandResult } from '../options.ts';

/** pgwatch why: explains where a notification is, or why a table sends none. */
export function addWhy(program: Command, outcome: CommandResult): void {
  addCommonOptions(
    program
      .command('why')
      .argument('[id]', 'of the notification')
      .option('--consumer <id>', 'at this consumer only')
      .option('--table <name>', 'why the changes of this table do not arrive')
      .option('--json', 'as JSON, each reason with its code'),
  )
    .description('Explain why a notification has or has not arrived at its consumers.')
    .addHelpText(
      'after',
      `
It tells whether the notification has committed, and who may hold it where it
has not; and for each consumer whether it is done, filtered, waiting, blocked
behind another of its key, in backoff, being worked on or dead, and what to do.
It changes nothing. The exit code is 0 where it has arrived at every consumer
that it was meant for (or at the one that is named), else 1.

Examples:
  $ pgwatch why 42
  $ pgwatch why 42 --consumer email
  $ pgwatch why 42 --json
  $ pgwatch why --table users           is it captured at all`,
    )
    .action(async (id: string | undefined, options) => {
      if ((id === undefined) === (options.table === undefined)) {
        throw new PgwatchError('usage', 'Give the id of a notification, or --table and its name.');
      }
      if (id === undefined) {
        return (await import('./table.ts')).whyTable(options.table, options, outcome);
      }
      return (await import('./run.ts')).why(id, options, outcome);
    });
}
