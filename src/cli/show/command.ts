import type { Command } from 'commander';
import { parseMoment } from '../moment.ts';
import { addCommonOptions } from '../options.ts';

/** pgwatch show: a notification, and what has become of it. */
export function addShow(program: Command): void {
  addCommonOptions(program.command('show'))
    .description('Show a notification whole, and what each consumer has made of it.')
    .argument('<ids...>', 'ids of notifications, or event ids')
    .option(
      '--since <time>',
      'look for event ids from then on only (local time unless it has a zone)',
      parseMoment,
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
What is no longer in the log is shown from the copy that a dead letter holds.
"done" means that the consumer has handled it; "skipped" that it began behind
it, or was moved past it. "pgwatch why" says more about each, and what to do.

An event id that its publisher gave is looked up. One that pgwatch derived is in
no index: it is looked for in all of the log, or in what was written --since.

Examples:
  $ pgwatch show 42
  $ pgwatch show 42 43 --json
  $ pgwatch show 0b0e0d6c-6f1d-8a3c-8d1e-0a9c3a1f7b55 --since 1d`,
    )
    .action(async (ids, options) => (await import('./run.ts')).showNotification(ids, options));
}
