import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareReplay } from './options.ts';

/** pgwatch replay: delivers a stretch of the log to a consumer again. */
export function addReplay(program: Command, outcome: CommandResult): void {
  declareReplay(program)
    .description('Deliver notifications again that a consumer has already handled.')
    .addHelpText(
      'after',
      `
They arrive with isReplay true, in key order, interleaved with new
notifications; the position does not move. New notifications with the same key
wait until the replay of that key is done, so the newest still arrives last. One
that is being handled when the replay starts may arrive twice. Dead letters and
notifications that wait for a retry are left out. Failures are retried, and may
become dead letters, as usual. Handlers run again, side effects included, also
those in the transaction of a consumer with transaction: true.

The command shows the progress until the replay is done. Ctrl-C stops watching,
not the replay. If no daemon runs the consumer, the replay waits for one.

Examples:
  $ pgwatch replay email --since 1h --dry-run
  $ pgwatch replay email --id 41 42 43
  $ pgwatch replay search-index --since 2026-11-20T09:00 --key order:7
  $ pgwatch replay metrics --since 2h --until 1h --speed 10x
  $ pgwatch replay metrics --cancel`,
    )
    .action(async (consumer, options) =>
      (await import('./run.ts')).replay(consumer, options, outcome),
    );
}
