import type { Command } from 'commander';
import { addCommonOptions } from '../options.ts';
import { parseTarget } from './target.ts';

/** pgwatch seek: moves a consumer's position. */
export function addSeek(program: Command): void {
  addCommonOptions(
    program
      .command('seek')
      .argument('<consumer>', 'whose position')
      .requiredOption(
        '--to <target>',
        'start, now, an id, a time, an age (-1h), or so many (+100, -100)',
        parseTarget,
      )
      .option('--execute', 'do it; without, only the plan is printed')
      .option('--live', 'do it though a daemon runs the consumer: it goes on from there')
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
  $ pgwatch seek email --to -1h             what would happen
  $ pgwatch seek email --to -1h --execute
  $ pgwatch seek email --to 4711 --execute --live
  $ pgwatch seek search-index --to start --execute
  $ pgwatch seek metrics --to now --execute`,
    )
    .action(async (consumer, options) => (await import('./run.ts')).seek(consumer, options));
}
