import { type Command, Option } from 'commander';
import { parseMoment } from '../moment.ts';
import { addCommonOptions, type CommandResult } from '../options.ts';
import { parseSpeed } from './options.ts';

/** pgwatch replay: hands a stretch of the log to a consumer once more. */
export function addReplay(program: Command, outcome: CommandResult): void {
  addCommonOptions(
    program
      .command('replay')
      .argument('<consumer>', 'who gets them')
      .option(
        '--since <time>',
        'created then or later: an age (1h) or a time (local time unless it has a zone)',
        parseMoment,
      )
      .option(
        '--until <time>',
        'created before then (local time unless it has a zone)',
        parseMoment,
      )
      .option('--channel <channel>', 'only of this channel')
      .option('--key <key>', 'only of this key')
      .option('--id <ids...>', 'only these')
      .addOption(
        new Option('--speed <speed>', '1x as it was written, 10x, or max')
          .argParser(parseSpeed)
          .default(null, 'max'),
      )
      .option('--dry-run', 'only count, and show the first few')
      .option('--no-wait', 'return at once, and let the daemon go on')
      .option('--cancel', 'take back what of replays has not been tried yet')
      .option('--json', 'print what was done as JSON'),
  )
    .description('Hand notifications that a consumer has done to it once more.')
    .addHelpText(
      'after',
      `
They come with isReplay true, in the order of their keys, between what is new;
the position stays where it is. What is new of these keys waits for them, so
that the newest comes last, and what was in the consumer's hands just then may
come twice. Those that are dead or wait for a retry are left alone. A failure
is retried, and given up, as any other. Handlers have their effects again, also
those in the transaction of a consumer with transaction: true.

It shows how far it is until all are through. Ctrl-C stops watching, and not the
replay. Without a daemon that runs the consumer they wait for one.

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
