import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareSeek } from './options.ts';

/** pgwatch seek: moves a consumer's position. */
export function addSeek(program: Command, outcome: CommandResult): void {
  declareSeek(program)
    .description("Move a consumer's position: back to repeat notifications, or forward.")
    .addHelpText(
      'after',
      `
An id names the next notification to deliver. A time (local time unless it has a
zone) or an age means the first notification created at or after it. +100 and
-100 count notifications of the consumer's channels.

After a move back, everything after the new position is delivered again, in
order, including dead letters and what is published meanwhile. After a move
forward, what was skipped is never delivered, except notifications that had not
committed yet. Dead letters before the new position stay dead, and pending
retries there are still attempted. To repeat a stretch without moving the
position, use "pgwatch replay".

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
