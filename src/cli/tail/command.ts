import type { Command } from '@commander-js/extra-typings';
import { declareTail } from './options.ts';

/** pgwatch tail: shows the log as it grows. */
export function addTail(program: Command): void {
  declareTail(program)
    .description('Watch the log, without effect on consumers or their positions.')
    .addHelpText(
      'after',
      `
It starts after the newest notification and follows the log until Ctrl-C. With
--until, or if piped with --since or --from, it ends at the current end of the
log. --no-follow alone shows the last 10. Notifications appear when they commit,
so ids may go backwards.

--where can use id, channel, key, payload, change, action, table, createdAt (a
Date) and eventId. Expressions that throw count as no match. --from -20 counts
before --where is applied. The rows of a snapshot are on the channel
consumer:ID. Give channels before the options.

Examples:
  $ pgwatch tail                                    everything from now on
  $ pgwatch tail orders --since 1h
  $ pgwatch tail --table users --action UPDATE,DELETE
  $ pgwatch tail orders --where 'payload.total > 100' --full
  $ pgwatch tail --from -20 --no-follow
  $ pgwatch tail --since 1d --key order:42 | jq .payload`,
    )
    .action(async (channels, options) => (await import('./run.ts')).tail(channels, options));
}
