import type { Command } from 'commander';
import { parseMoment } from '../moment.ts';
import { addCommonOptions } from '../options.ts';

/** pgwatch show: notifications in full. */
export function addShow(program: Command): void {
  addCommonOptions(program.command('show'))
    .description('Show a notification in full, with its outcome at each consumer.')
    .argument('<ids...>', 'ids of notifications, or event ids')
    .option(
      '--since <time>',
      'search for event ids from this time on (local time unless it has a zone)',
      parseMoment,
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
If the log no longer has it, it is shown from the copy in a dead letter.
"pgwatch why" says the same about each consumer, and what to do about it.

An event id given by the publisher is looked up in an index. One derived by
pgwatch is not indexed: that searches the whole log, or the log --since a time.

Examples:
  $ pgwatch show 42
  $ pgwatch show 42 43 --json
  $ pgwatch show 0b0e0d6c-6f1d-8a3c-8d1e-0a9c3a1f7b55 --since 1d`,
    )
    .action(async (ids, options) => (await import('./run.ts')).showNotification(ids, options));
}
