import { type Command, Option } from 'commander';
import { parseMoment } from '../moment.ts';
import { addCommonOptions, wholeNumber } from '../options.ts';

/** pgwatch tail: shows the log as it grows. */
export function addTail(program: Command): void {
  const command = program
    .command('tail')
    .argument('[channels...]', 'only these channels; without one, all')
    .addOption(
      new Option(
        '--since <time>',
        'begin at a time, or so long ago: 1h, 2026-11-20T09:30 (local time unless it has a zone)',
      )
        .argParser(parseMoment)
        .conflicts('from'),
    )
    .option('--from <place>', 'begin at an id, at the start, or -20: the last 20')
    .option(
      '--until <place>',
      'end at a time (local time unless it has a zone), or so long ago, or at an id',
    )
    .option('-n, --limit <n>', 'stop after n notifications', wholeNumber(1))
    .option('--table <names...>', 'only changes of these tables: users, app.users')
    .option('--action <names...>', 'only these: INSERT, UPDATE, DELETE, TRUNCATE, SNAPSHOT')
    .option('--key <key>', 'only of this key')
    .option('--where <expression>', 'only where this JavaScript is true')
    .option('--follow', 'stay, and show what comes (default on a terminal)')
    .option('--no-follow', 'show what is there, and exit')
    .option('--full', 'as text, with the whole payload beneath')
    .option('--json', 'as JSON, one object a line (default where piped)')
    .option('--no-json', 'as text, also where piped');
  addCommonOptions(command)
    .description('Watch the log: no position moves, and no consumer notices.')
    .addHelpText(
      'after',
      `
It begins behind the newest notification and follows until Ctrl-C. With --until,
or piped with --since or --from, it ends at the end of what is there. With
--no-follow alone it shows the last 10. What commits late is shown when it
commits, so that ids may go back.

In --where there are id, channel, key, payload, change, action, table, createdAt
(a Date) and eventId. What throws is no match. --from -20 counts before it.
The rows of a snapshot lie on the channel consumer:ID. Channels stand before
the options.

Examples:
  $ pgwatch tail                                    all there is from now on
  $ pgwatch tail orders --since 1h
  $ pgwatch tail --table users --action UPDATE,DELETE
  $ pgwatch tail orders --where 'payload.total > 100' --full
  $ pgwatch tail --from -20 --no-follow
  $ pgwatch tail --since 1d --key order:42 | jq .payload`,
    )
    .action(async (channels, options) => (await import('./run.ts')).tail(channels, options));
}
