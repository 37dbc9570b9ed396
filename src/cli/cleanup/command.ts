import type { Command } from 'commander';
import { ageFrom, parseMoment } from '../moment.ts';
import { addCommonOptions, type CommandResult, wholeNumber } from '../options.ts';

/** pgwatch cleanup: removes old notifications from the log. */
export function addCleanup(program: Command, outcome: CommandResult): void {
  addCommonOptions(
    program
      .command('cleanup')
      .option('--days <n>', 'remove what is older than so many days', wholeNumber(1, DAYS_MAX))
      .option(
        '--before <time>',
        'remove what is older than that: 12h, 2026-11-20 (local time unless it has a zone)',
        parseBefore,
      )
      .option('--dry-run', 'only print what would be removed, by partition')
      .option('--force', 'remove what consumers still need, too')
      .option('--yes', 'do not ask, with --force')
      .option('--json', 'print what was done as JSON'),
  )
    .description('Remove old notifications from the log.')
    .addHelpText(
      'after',
      `
Partitions that are old as a whole are emptied and dropped at once; of others
what is old is deleted in batches. No writer waits longer than 200 ms: what is
locked by others is tried again for 10 seconds, then left for the next time.

Nothing is removed that a consumer has not done, or that is called again: it
stays, with all of a partition that is old as a whole, and the command says for
whom, and ends with exit code 1. Dead letters keep a copy of their notification.
With --force it is removed all the same, and the consumer is told what it misses
(see onGap); what waits for a retry is copied before, and still handed out.

Event ids of publishers are forgotten with it: who publishes an event of before
that time again, with the same event id, writes it again.

With retention: '7d' in the config the daemon does this by itself.

Examples:
  $ pgwatch cleanup --days 7 --dry-run
  $ pgwatch cleanup --days 7
  $ pgwatch cleanup --before 2026-11-01 --json
  $ pgwatch cleanup --days 30 --force --yes`,
    )
    .action(async (options) => (await import('./run.ts')).cleanup(options, outcome));
}

/** An age is measured by the server's clock, once it can be asked. */
function parseBefore(text: string): Date | { ageMs: number } {
  const ageMs = ageFrom(text);
  return ageMs === undefined ? parseMoment(text) : { ageMs };
}

/** Beyond it, timestamps end. */
const DAYS_MAX = 36_500;
