import type { Command } from 'commander';
import { addCommonOptions, type CommandResult } from '../options.ts';
import { addCaptureOptions } from './options.ts';

/** pgwatch trigger: which tables are captured, and how. */
export function addTrigger(program: Command, outcome: CommandResult): void {
  const trigger = program
    .command('trigger')
    .description(
      'Capture the changes of tables: add, change, list, remove, print or sync triggers.',
    )
    .addHelpText(
      'after',
      `
A captured table publishes what happens to its rows, in the transaction that
does it: {"schema", "table", "action", "id", "old_data", "new_data", "changed",
"metadata"}. Tables are named as in users, app.users or app."a.b".

Examples:
  $ pgwatch trigger add users
  $ pgwatch trigger add users --exclude password,ssn --operations insert,update
  $ pgwatch trigger list
  $ pgwatch trigger sql users > migration.sql
  $ pgwatch trigger sync --check`,
    );
  addAdd(trigger);
  addList(trigger, outcome);
  addRemove(trigger);
  addSql(trigger);
  addSync(trigger, outcome);
}

function addAdd(trigger: Command): void {
  const command = addCaptureOptions(
    trigger.command('add').argument('[tables...]', 'names of tables'),
  )
    .option('--all', 'every table of --schema')
    .option('--schema <names...>', 'with --all: of these schemas')
    .option('--except <tables...>', 'with --all: but not these tables')
    .option('--reset', 'what is not given goes back to its default')
    .option('--dry-run', 'print the SQL, and change nothing');
  addCommonOptions(command)
    .description('Capture the changes of tables, or change how they are captured.')
    .addHelpText(
      'after',
      `
Of a table that is captured already only what is given changes; with --reset
the rest goes back to its default. Names stand before the options.

Examples:
  $ pgwatch trigger add users
  $ pgwatch trigger add users orders --channel shop
  $ pgwatch trigger add users --columns email,name --payload changed
  $ pgwatch trigger add orders --when "new.state = 'paid'" --operations update
  $ pgwatch trigger add --all --schema app --except app.sessions --dry-run`,
    )
    .action(async (tables, options) => (await import('./add.ts')).add(tables, options));
}

function addList(trigger: Command, outcome: CommandResult): void {
  addCommonOptions(trigger.command('list').option('--json', 'as JSON'))
    .description('List the captured tables; exit code 1 if one is stale or disabled.')
    .addHelpText(
      'after',
      `
Stale is a capture that no longer fits its table, as after a change of the
primary key: "pgwatch trigger add" makes it current.

Examples:
  $ pgwatch trigger list
  $ pgwatch trigger list --json`,
    )
    .action(async (options) => (await import('./list.ts')).listTriggers(options, outcome));
}

function addRemove(trigger: Command): void {
  addCommonOptions(
    trigger
      .command('remove')
      .argument('<tables...>', 'names of tables')
      .option('--dry-run', 'print the SQL, and change nothing'),
  )
    .description('Capture tables no longer. What was captured stays in the log.')
    .addHelpText(
      'after',
      `
It drops every trigger that calls notify_data_change(), those that were written
by hand included.

Examples:
  $ pgwatch trigger remove users
  $ pgwatch trigger remove users app.orders --dry-run`,
    )
    .action(async (tables, options) =>
      (await import('./remove.ts')).removeTriggers(tables, options),
    );
}

function addSql(trigger: Command): void {
  const command = addCaptureOptions(
    trigger.command('sql').argument('<tables...>', 'names of tables'),
  )
    .option('--reset', 'what is not given goes back to its default')
    .option('--down', 'print what removes them instead');
  addCommonOptions(command)
    .description('Print the SQL that captures tables, for migrations of your own.')
    .addHelpText(
      'after',
      `
It reads the tables from the database and changes nothing there. A table that is
captured already is printed as it is, but for what is given. Run by whatever
runs your migrations, the SQL does what "pgwatch trigger add" does.

Examples:
  $ pgwatch trigger sql users > 0007_capture_users.up.sql
  $ pgwatch trigger sql users --down > 0007_capture_users.down.sql
  $ pgwatch trigger sql users orders --exclude password`,
    )
    .action(async (tables, options) => (await import('./sql.ts')).printSql(tables, options));
}

function addSync(trigger: Command, outcome: CommandResult): void {
  addCommonOptions(
    trigger
      .command('sync')
      .option('--check', 'change nothing; exit code 1 if something would change')
      .option('--json', 'print what it did as JSON'),
  )
    .description('Make the database match the triggers in the config file.')
    .addHelpText(
      'after',
      `
In pgwatch.config.ts:
  triggers: { users: { exclude: ['password'] }, 'app.orders': {} }
A table that is not named there is captured no longer, unless its trigger was
written by hand.

Examples:
  $ pgwatch trigger sync
  $ pgwatch trigger sync --check     in CI, after the migrations`,
    )
    .action(async (options) => (await import('./sync.ts')).sync(options, outcome));
}
