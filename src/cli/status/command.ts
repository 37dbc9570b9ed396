import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareStatus } from './options.ts';

/** pgwatch status: shows the state of consumers. */
export function addStatus(program: Command, outcome: CommandResult): void {
  declareStatus(program)
    .description('Show the state of each consumer: lag, rate, owner and failures.')
    .addHelpText(
      'after',
      `
LAG counts notifications that are not settled, OLDEST is the age of the oldest
of them, and LEFT the time until all are settled at the current RATE. Failed
notifications are counted separately: waiting for a RETRY, BLOCKED by an earlier
one with the same key, or DEAD. A large lag is estimated (~4,300,000).

Without limits, --check reports consumers that no daemon runs although they are
not paused, and those that accept nothing new because of failures.

Examples:
  $ pgwatch status
  $ pgwatch status email --watch
  $ pgwatch status --check --max-lag 1000 --max-age 30s
  $ pgwatch status --json`,
    )
    .action(async (consumerIds, options) =>
      (await import('./run.ts')).status(consumerIds, options, outcome),
    );
}
