import type { Command } from '@commander-js/extra-typings';
import { PgwatchError } from '../../errors.ts';
import type { CommandResult } from '../options.ts';
import { declareWhy } from './options.ts';

/** pgwatch why: explains where a notification is, or why a table publishes none. */
export function addWhy(program: Command, outcome: CommandResult): void {
  declareWhy(program)
    .description('Explain why a notification has or has not arrived at its consumers.')
    .addHelpText(
      'after',
      `
It explains whether the notification has committed, and if not, which session
may hold it. For each consumer it tells whether the notification is done,
filtered, waiting, blocked by an earlier one with the same key, waiting for a
retry, being handled, or dead, and what to do. It changes nothing. The exit code
is 0 if the notification has arrived at every consumer it is meant for (or at
the one given by --consumer), else 1.

Examples:
  $ pgwatch why 42
  $ pgwatch why 42 --consumer email
  $ pgwatch why 42 --json
  $ pgwatch why --table users           is it captured at all?`,
    )
    .action(async (id, options) => {
      const { table } = options;
      if (id !== undefined && table === undefined) {
        return (await import('./run.ts')).why(id, options, outcome);
      }
      if (id === undefined && table !== undefined) {
        return (await import('./table.ts')).whyTable(table, options, outcome);
      }
      throw new PgwatchError(
        'usage',
        'Give either the id of a notification, or --table with the name of a table.',
      );
    });
}
