import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareCleanup } from './options.ts';

/** pgwatch cleanup: removes old notifications from the log. */
export function addCleanup(program: Command, outcome: CommandResult): void {
  declareCleanup(program)
    .description('Remove old notifications from the log.')
    .addHelpText(
      'after',
      `
Partitions that are entirely old are emptied and dropped at once; in the others,
old notifications are deleted in batches. No writer waits longer than 200 ms:
what is locked is tried again for 10 seconds, then left for the next run.

A notification that a consumer has not handled, or is to handle again, is kept,
and with it all others of a partition that is entirely old. The command then
says which consumers need it, and its exit code is 1. Dead letters keep a copy
of their notification. --force removes such notifications, too, and the consumer
learns what it misses (see onGap); those that wait for a retry are copied first,
and still delivered.

The event ids of publishers are forgotten with their notifications: publishing
such an event again, with the same event id, stores it again.

With retention: '7d' in the config, the daemon does all this on its own.

Examples:
  $ pgwatch cleanup --days 7 --dry-run
  $ pgwatch cleanup --days 7
  $ pgwatch cleanup --before 2026-11-01 --json
  $ pgwatch cleanup --days 30 --force --yes`,
    )
    .action(async (options) => (await import('./run.ts')).cleanup(options, outcome));
}
