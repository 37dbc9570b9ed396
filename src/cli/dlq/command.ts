import type { Command } from '@commander-js/extra-typings';
import { declareChange, declareList, declareShow } from './options.ts';

/** pgwatch dlq: shows, retries and discards dead letters. */
export function addDlq(program: Command): void {
  const dlq = program
    .command('dlq')
    .description('List, show, retry or discard dead letters.')
    .addHelpText(
      'after',
      `
A notification whose handler has failed too often becomes a dead letter of that
consumer. It is kept, with its errors and a copy of the notification, until you
retry or discard it.

Examples:
  $ pgwatch dlq list                            dead letters and their errors
  $ pgwatch dlq show 42                         one of them, with its payload
  $ pgwatch dlq retry --consumer email          deliver them again
  $ pgwatch dlq discard --older-than 30d        delete old ones`,
    );
  addList(dlq);
  addShow(dlq);
  addRetry(dlq);
  addDiscard(dlq);
}

function addList(dlq: Command): void {
  declareList(dlq)
    .description('List dead letters, the latest failure first.')
    .addHelpText(
      'after',
      `
With --state it also lists notifications that wait for their next attempt
(retry), or for an earlier notification with the same key (blocked).

Examples:
  $ pgwatch dlq list
  $ pgwatch dlq list --consumer email webhook --newer-than 2h
  $ pgwatch dlq list --error 'connection refused' --json
  $ pgwatch dlq list --state all --key order:42`,
    )
    .action(async (options) => (await import('./list.ts')).listDeadLetters(options));
}

function addShow(dlq: Command): void {
  declareShow(dlq)
    .description('Show a dead letter: the notification with its payload, and the errors.')
    .addHelpText(
      'after',
      `
It also shows each consumer where the notification waits for a retry or is
blocked.

Examples:
  $ pgwatch dlq show 42
  $ pgwatch dlq show 42 --consumer email --json`,
    )
    .action(async (id, options) => (await import('./show.ts')).showDeadLetters(id, options));
}

function addRetry(dlq: Command): void {
  declareChange(dlq, 'retry')
    .description('Deliver dead letters again, with a full set of attempts.')
    .addHelpText(
      'after',
      `
They keep their ids, and their places in the order of their keys. A running
daemon delivers them at once; without one they wait. A notification that waits
for a retry is attempted now if you give its id. Give ids before the options.

Examples:
  $ pgwatch dlq retry 42 43
  $ pgwatch dlq retry --consumer email --error timeout --dry-run
  $ pgwatch dlq retry --all`,
    )
    .action(async (ids, options) => (await import('./change.ts')).change('retry', ids, options));
}

function addDiscard(dlq: Command): void {
  declareChange(dlq, 'discard')
    .description('Delete dead letters: they will never be handled.')
    .addHelpText(
      'after',
      `
The notifications stay in the log like any other. A consumer that stopped at a
dead letter continues. Give ids before the options.

Examples:
  $ pgwatch dlq discard 42 43
  $ pgwatch dlq discard --consumer email --older-than 30d --dry-run
  $ pgwatch dlq discard --all`,
    )
    .action(async (ids, options) => (await import('./change.ts')).change('discard', ids, options));
}
