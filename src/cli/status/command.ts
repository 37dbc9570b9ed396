import type { Command } from 'commander';
import { addCommonOptions, type CommandResult, parseAge, wholeNumber } from '../options.ts';

/** pgwatch status: how consumers get on. */
export function addStatus(program: Command, outcome: CommandResult): void {
  const command = program
    .command('status')
    .description('Show how consumers get on: lag, rate, owner, and what fails.')
    .argument('[consumers...]', 'only these')
    .option('--json', 'as JSON')
    .option('--watch', 'show it again and again, until Ctrl-C')
    .option('--interval <duration>', 'with --watch: how often (default: 2s)', parseAge)
    .option('--check', 'for monitoring: print what is wrong; exit 1 if there is any')
    .option('--max-lag <n>', 'with --check: so many may be unread', wholeNumber(0))
    .option('--max-age <duration>', 'with --check: the oldest unread may be so old', parseAge)
    .option('--max-dead <n>', 'with --check: there may be so many dead letters', wholeNumber(0));
  addCommonOptions(command)
    .addHelpText(
      'after',
      `
LAG counts notifications that are not settled; OLDEST is the age of the oldest
of them, LEFT the time until all are settled at the current RATE. What failed
is counted beside it: it waits for its RETRY, is BLOCKED behind an earlier one
of its key, or is DEAD. A large lag is estimated (~4,300,000).

Without limits, --check finds consumers that nobody runs though they are not
paused, and those that take nothing new because of what failed.

Examples:
  $ pgwatch status
  $ pgwatch status email --watch
  $ pgwatch status --check --max-lag 1000 --max-age 30s
  $ pgwatch status --json`,
    )
    .action(async (consumerIds, options) => {
      const { status } = await import('./run.ts');
      await status(consumerIds, options, outcome);
    });
}
