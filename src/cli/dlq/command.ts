import { type Command, Option } from 'commander';
import { addCommonOptions, wholeNumber } from '../options.ts';
import { addFilterOptions } from './filter.ts';

/** pgwatch dlq: looks at the dead letters, and decides about them. */
export function addDlq(program: Command): void {
  const dlq = program
    .command('dlq')
    .description('List, show, retry or discard dead letters: notifications that were given up.')
    .addHelpText(
      'after',
      `
A notification whose handler has failed too often becomes a dead letter of that
consumer, with its errors and a copy of itself. There it stays until somebody
decides.

Examples:
  $ pgwatch dlq list                            what was given up, and why
  $ pgwatch dlq show 42                         one of them, with its payload
  $ pgwatch dlq retry --consumer email          hand them out again
  $ pgwatch dlq discard --older-than 30d        forget them`,
    );
  addList(dlq);
  addShow(dlq);
  addRetry(dlq);
  addDiscard(dlq);
}

function addList(dlq: Command): void {
  const command = addFilterOptions(dlq.command('list'))
    .addOption(
      new Option('--state <state>', 'which ones')
        .choices(['dead', 'retry', 'blocked', 'all'])
        .default('dead'),
    )
    .option('--limit <n>', 'how many at most', wholeNumber(1, LIMIT_MAX), 50)
    .option('--json', 'as JSON, with the whole errors');
  addCommonOptions(command)
    .description('List dead letters, the newest failure first.')
    .addHelpText(
      'after',
      `
Besides the dead there are those that wait for their next attempt (retry), and
those that wait for an earlier one of their key (blocked).

Examples:
  $ pgwatch dlq list
  $ pgwatch dlq list --consumer email webhook --newer-than 2h
  $ pgwatch dlq list --error 'connection refused' --json
  $ pgwatch dlq list --state all --key order:42`,
    )
    .action(async (options) => (await import('./list.ts')).listDeadLetters(options));
}

function addShow(dlq: Command): void {
  addCommonOptions(dlq.command('show'))
    .description('Show a dead letter: the notification with its payload, and the errors.')
    .argument('<id>', 'of the notification')
    .option('--consumer <id>', 'of this consumer only')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
It shows what waits for a retry or is blocked as well, for each consumer.

Examples:
  $ pgwatch dlq show 42
  $ pgwatch dlq show 42 --consumer email --json`,
    )
    .action(async (id, options) => (await import('./show.ts')).showDeadLetters(id, options));
}

function addRetry(dlq: Command): void {
  addChangeOptions(dlq.command('retry'))
    .description('Hand dead letters to their consumers again, with a full set of attempts.')
    .addHelpText(
      'after',
      `
They keep their ids, and their places in the order of their keys. A daemon that
runs begins at once; else they wait for one. What waits for a retry anyway is
tried now if its id is given. Ids stand before the options.

Examples:
  $ pgwatch dlq retry 42 43
  $ pgwatch dlq retry --consumer email --error timeout --dry-run
  $ pgwatch dlq retry --all`,
    )
    .action(async (ids, options) => (await import('./change.ts')).change('retry', ids, options));
}

function addDiscard(dlq: Command): void {
  addChangeOptions(dlq.command('discard'))
    .description('Delete dead letters: nobody will ever handle them.')
    .addHelpText(
      'after',
      `
Their notifications stay in the log as long as all others do. A consumer that
has stopped at a dead letter goes on. Ids stand before the options.

Examples:
  $ pgwatch dlq discard 42 43
  $ pgwatch dlq discard --consumer email --older-than 30d --dry-run
  $ pgwatch dlq discard --all`,
    )
    .action(async (ids, options) => (await import('./change.ts')).change('discard', ids, options));
}

function addChangeOptions(command: Command): Command {
  return addCommonOptions(
    addFilterOptions(command.argument('[ids...]', 'of the notifications'))
      .option('--all', 'all dead letters')
      .option('--dry-run', 'only print what would happen')
      .option('--json', 'print what happened as JSON'),
  );
}

/** How many are listed at most. */
const LIMIT_MAX = 10_000;
