import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareAdd, declareList, declareRemove, declareSql, declareSync } from './options.ts';

/** pgwatch trigger: manages which tables are captured, and how. */
export function addTrigger(program: Command, outcome: CommandResult): void {
  const trigger = program
    .command('trigger')
    .description('Capture changes of tables: add, list, remove, print or sync triggers.')
    .addHelpText(
      'after',
      `
A captured table publishes each change of its rows, in the same transaction:
{"schema", "table", "action", "id", "old_data", "new_data", "changed",
"metadata"}. Name tables like users, app.users or app."a.b".

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
  declareAdd(trigger)
    .description('Capture the changes of tables, or change how they are captured.')
    .addHelpText(
      'after',
      `
If a table is already captured, only the given options change; with --reset the
others are set to their defaults. Give tables before the options.

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
  declareList(trigger)
    .description('List the captured tables; exit code 1 if one is stale or disabled.')
    .addHelpText(
      'after',
      `
A capture is stale if it no longer fits its table, for example after a change of
the primary key. "pgwatch trigger add" updates it.

Examples:
  $ pgwatch trigger list
  $ pgwatch trigger list --json`,
    )
    .action(async (options) => (await import('./list.ts')).listTriggers(options, outcome));
}

function addRemove(trigger: Command): void {
  declareRemove(trigger)
    .description('Stop capturing tables. Captured changes stay in the log.')
    .addHelpText(
      'after',
      `
It drops every trigger that calls notify_data_change(), including those that you
created yourself.

Examples:
  $ pgwatch trigger remove users
  $ pgwatch trigger remove users app.orders --dry-run`,
    )
    .action(async (tables, options) =>
      (await import('./remove.ts')).removeTriggers(tables, options),
    );
}

function addSql(trigger: Command): void {
  declareSql(trigger)
    .description('Print the SQL that captures tables, for your own migrations.')
    .addHelpText(
      'after',
      `
It reads the tables from the database and changes nothing. For a table that is
already captured, options that are not given keep their values. The SQL does the
same as "pgwatch trigger add", whichever tool runs it.

Examples:
  $ pgwatch trigger sql users > 0007_capture_users.up.sql
  $ pgwatch trigger sql users --down > 0007_capture_users.down.sql
  $ pgwatch trigger sql users orders --exclude password`,
    )
    .action(async (tables, options) => (await import('./sql.ts')).printSql(tables, options));
}

function addSync(trigger: Command, outcome: CommandResult): void {
  declareSync(trigger)
    .description('Make the database match the triggers in the config file.')
    .addHelpText(
      'after',
      `
In pgwatch.config.ts:
  triggers: { users: { exclude: ['password'] }, 'app.orders': {} }
Tables that are not listed are no longer captured, unless you created their
triggers yourself.

Examples:
  $ pgwatch trigger sync
  $ pgwatch trigger sync --check     in CI, after the migrations`,
    )
    .action(async (options) => (await import('./sync.ts')).sync(options, outcome));
}
