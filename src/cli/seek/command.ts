import type { Command } from 'commander';
import { addCommonOptions, type CommandResult } from '../options.ts';
import { parseTarget } from './target.ts';

/** pgwatch seek: moves a consumer's position. */
export function addSeek(program: Command, outcome: CommandResult): void {
  addCommonOptions(
    program
      .command('seek')
      .argument('<consumer>', 'whose position')
      .requiredOption(
        '--to <target>',
        'start, now, an id, a time, an age (-1h), or so many (+100, -100)',
        parseTarget,
      )
      .option('--dry-run', 'print the plan, and change nothing')
      .option('--yes', 'move it without asking')
      .option('--live', 'move it even while a daemon runs the consumer')
      .option('--json', 'print the plan, and what was done, as JSON'),
  )
    .description("Move a consumer's position: back to have notifications again, or forward.")
    .addHelpText(
      'after',
      `
An id is the next one that is handed out. A time (local time unless it has a
zone) or an age means the first that was created then or later. +100 and -100
count notifications of its channels.

Back, everything behind the new position comes again, in its order, dead letters
included, with what comes meanwhile. Forward, what is skipped is never handed
out; what has not committed yet is, once it has. Dead letters before the new
position stay dead, and what waits for a retry there is still retried. To have a
stretch again without moving the position, see "pgwatch replay".

Examples:
  $ pgwatch seek email --to -1h --dry-run   what would happen
  $ pgwatch seek email --to -1h
  $ pgwatch seek email --to 4711 --live --yes
  $ pgwatch seek search-index --to start
  $ pgwatch seek metrics --to now`,
    )
    .action(async (consumer, options) =>
      (await import('./run.ts')).seek(consumer, options, outcome),
    );
}
