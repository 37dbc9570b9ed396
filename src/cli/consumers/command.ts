import type { Command } from 'commander';
import { addCommonOptions, type CommandResult } from '../options.ts';
import { parseUntil } from './until.ts';

/** pgwatch consumers: what the database knows of them, and pausing. */
export function addConsumers(program: Command, outcome: CommandResult): void {
  const consumers = program
    .command('consumers')
    .description(
      'List and show the consumers that the database knows; pause, resume, rename, remove them.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ pgwatch consumers list                      who is there, and who runs it
  $ pgwatch consumers show email                everything known of one
  $ pgwatch consumers pause email --until 2h    run nothing of it for two hours
  $ pgwatch consumers resume email
  $ pgwatch consumers rename email mailer       its file is called mailer.ts now
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
  addCommonOptions(consumers.command('list').option('--json', 'as JSON'))
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
  addCommonOptions(consumers.command('show').argument('<ids...>', 'of the consumers'))
    .description('Show everything that is known of consumers, with their positions.')
    .option('--json', 'as JSON')
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
  addCommonOptions(consumers.command('pause').argument('<ids...>', 'of the consumers'))
    .description('Have no daemon run consumers, until they are resumed.')
    .option('--until <when>', 'a duration from now (2h), or a time to come', parseUntil)
    .option('--json', 'print what happened as JSON')
    .addHelpText(
      'after',
      `
Daemons finish the handlers that run and start no more, within about a second.
Nothing is lost: what is published meanwhile waits, and retries wait too. The
pause is kept in the database, whatever daemons come and go.

Examples:
  $ pgwatch consumers pause email
  $ pgwatch consumers pause email webhook --until 2h
  $ pgwatch consumers pause email --until 2026-11-30T06:00`,
    )
    .action(async (ids, options) => (await import('./pause.ts')).pause(ids, options));
}

function addResume(consumers: Command): void {
  addCommonOptions(consumers.command('resume').argument('<ids...>', 'of the consumers'))
    .description('Let daemons run consumers again that are paused.')
    .option('--json', 'print what happened as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ pgwatch consumers resume email webhook`,
    )
    .action(async (ids, options) => (await import('./pause.ts')).resume(ids, options));
}

function addRename(consumers: Command): void {
  addCommonOptions(
    consumers
      .command('rename')
      .argument('<old>', 'the id that the database knows')
      .argument('<new>', 'the id in the consumer file, or the name of the file'),
  )
    .description('Give a consumer another id: it goes on where it is.')
    .option('--json', 'print what happened as JSON')
    .addHelpText(
      'after',
      `
Position, retries, dead letters, leases and snapshots go with it. Stop the
daemon that runs it by the old id first. A daemon that runs the new id may be
running, unless it has handled something by then: what it has done would be
done again, so it is removed first. Only the owner of the tables may rename
consumers.

Without this, write the old id into the file: id: 'email'.

Examples:
  $ pgwatch consumers rename email mailer
  $ pgwatch consumers rename email mailer --json`,
    )
    .action(async (old, next, options) => (await import('./rename.ts')).rename(old, next, options));
}

function addRemove(consumers: Command, outcome: CommandResult): void {
  addCommonOptions(consumers.command('remove').argument('<ids...>', 'of the consumers'))
    .description('Forget consumers: their positions, and all that waits or is dead.')
    .option('--dry-run', 'only print what would go')
    .option('--yes', 'do not ask')
    .option('--json', 'print what happened as JSON')
    .addHelpText(
      'after',
      `
The log stays as it is. A consumer is not removed while a daemon that is alive
runs or wants it: it would be registered anew, as a new one. Only the owner of
the tables may remove consumers.

Examples:
  $ pgwatch consumers remove old_report --dry-run
  $ pgwatch consumers remove old_report older_report --yes`,
    )
    .action(async (ids, options) =>
      (await import('./remove.ts')).removeConsumers(ids, options, outcome),
    );
}
