import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import {
  declareList,
  declarePause,
  declareRemove,
  declareRename,
  declareResume,
  declareShow,
} from './options.ts';

/** pgwatch consumers: lists, pauses, renames and removes the consumers in the database. */
export function addConsumers(program: Command, outcome: CommandResult): void {
  const consumers = program
    .command('consumers')
    .description('List, show, pause, resume, rename or remove the consumers in the database.')
    .addHelpText(
      'after',
      `
Examples:
  $ pgwatch consumers list                      all consumers and their owners
  $ pgwatch consumers show email                everything about one of them
  $ pgwatch consumers pause email --until 2h    pause it for two hours
  $ pgwatch consumers resume email
  $ pgwatch consumers rename email mailer       its file is now mailer.ts
  $ pgwatch consumers remove old_report --dry-run`,
    );
  addList(consumers);
  addShow(consumers);
  addPause(consumers);
  addResume(consumers);
  addRename(consumers);
  addRemove(consumers, outcome);
}

function addList(consumers: Command): void {
  declareList(consumers)
    .description('List the consumers: state, owner, lag, dead letters, channels.')
    .addHelpText(
      'after',
      `
Examples:
  $ pgwatch consumers list
  $ pgwatch consumers list --json`,
    )
    .action(async (options) => (await import('./list.ts')).listConsumers(options));
}

function addShow(consumers: Command): void {
  declareShow(consumers)
    .description('Show everything about consumers, including their positions.')
    .addHelpText(
      'after',
      `
Examples:
  $ pgwatch consumers show email
  $ pgwatch consumers show email webhook --json`,
    )
    .action(async (ids, options) => (await import('./show.ts')).showConsumer(ids, options));
}

function addPause(consumers: Command): void {
  declarePause(consumers)
    .description('Pause consumers until they are resumed.')
    .addHelpText(
      'after',
      `
Daemons finish running handlers and start no new ones, within about a second.
Nothing is lost: notifications published meanwhile wait, and so do retries. The
pause is stored in the database, so it outlives any daemon.

Examples:
  $ pgwatch consumers pause email
  $ pgwatch consumers pause email webhook --until 2h
  $ pgwatch consumers pause email --until 2026-11-30T06:00`,
    )
    .action(async (ids, options) => (await import('./pause.ts')).pause(ids, options));
}

function addResume(consumers: Command): void {
  declareResume(consumers)
    .description('Resume paused consumers.')
    .addHelpText(
      'after',
      `
Examples:
  $ pgwatch consumers resume email webhook`,
    )
    .action(async (ids, options) => (await import('./pause.ts')).resume(ids, options));
}

function addRename(consumers: Command): void {
  declareRename(consumers)
    .description('Give a consumer a new id; it continues where it is.')
    .addHelpText(
      'after',
      `
It keeps its position, retries, dead letters, leases and snapshots. Stop the
daemon that runs the old id first. A daemon may already run the new id if it has
handled nothing yet; otherwise remove the new consumer first, and what it has
handled is handled again. Only the owner of the tables may rename consumers.

The alternative is to write the old id into the consumer file: id: 'email'.

Examples:
  $ pgwatch consumers rename email mailer
  $ pgwatch consumers rename email mailer --json`,
    )
    .action(async (old, next, options) => (await import('./rename.ts')).rename(old, next, options));
}

function addRemove(consumers: Command, outcome: CommandResult): void {
  declareRemove(consumers)
    .description('Remove consumers, with their positions, retries and dead letters.')
    .addHelpText(
      'after',
      `
The log is not changed. A consumer that a live daemon runs, or waits to run,
cannot be removed: the daemon would register it again, as a new one. Only the
owner of the tables may remove consumers.

Examples:
  $ pgwatch consumers remove old_report --dry-run
  $ pgwatch consumers remove old_report older_report --yes`,
    )
    .action(async (ids, options) =>
      (await import('./remove.ts')).removeConsumers(ids, options, outcome),
    );
}
