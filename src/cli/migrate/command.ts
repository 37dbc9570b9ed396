import type { Command } from 'commander';
import { countOf } from '../../words.ts';
import { confirm } from '../confirm.ts';
import { withDatabase } from '../database.ts';
import {
  addCommonOptions,
  type CommandResult,
  type CommonOptions,
  configFor,
  reporterFor,
} from '../options.ts';
import { printJson, printTable } from '../table.ts';

/** pgwatch migrate: installs the schema, and what belongs to it. */
export function addMigrate(program: Command, outcome: CommandResult): void {
  const migrate = addCommonOptions(program.command('migrate'))
    .description('Install pgwatch in the database, or bring it up to date.')
    .addHelpText(
      'after',
      `
Needs no superuser: the database's owner can run it. Running it again, or twice
at once, does no harm. Roles named in the config (roles: { publish, consume,
read }) are granted what they need.

Examples:
  $ pgwatch migrate                      install or update
  $ pgwatch migrate status               exit code 1 if something is pending
  $ pgwatch migrate sql > pgwatch.sql    the SQL, for one's own migrations
  $ pgwatch migrate rebase               after a restore into another server`,
    )
    .action((options: CommonOptions) => up(options));
  addCommonOptions(migrate.command('up'))
    .description('The same as "pgwatch migrate".')
    .addHelpText('after', '\nExamples:\n  $ pgwatch migrate up')
    .action((_, command: Command) => up(command.optsWithGlobals()));
  addCommonOptions(migrate.command('status'))
    .description('Show which migrations are installed; exit code 1 if one is pending or changed.')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ pgwatch migrate status\n  $ pgwatch migrate status --json',
    )
    .action((_, command: Command) => status(command.optsWithGlobals(), outcome));
  addCommonOptions(migrate.command('sql'))
    .description('Print all migrations as SQL. Uses no connection.')
    .addHelpText('after', '\nExamples:\n  $ pgwatch migrate sql | psql mydb')
    .action((_, command: Command) => printSql(command.optsWithGlobals()));
  addCommonOptions(migrate.command('uninstall'))
    .description('Remove pgwatch from the database, with all notifications and positions.')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      '\nExamples:\n  $ pgwatch migrate uninstall\n  $ pgwatch migrate uninstall --yes',
    )
    .action((_, command: Command) => remove(command.optsWithGlobals(), outcome));
  addCommonOptions(migrate.command('rebase'))
    .description(
      "Make a restored or copied log this server's own, so that the daemon starts again.",
    )
    .addHelpText(
      'after',
      `
Transaction ids begin anew in another server, so that "pgwatch listen" refuses a
log that was restored into it, or whose sequence was set back. This sets it
right. Nothing that a consumer has not handled is skipped; some of what it has
handled may be handed to it again.

Examples:
  $ pg_restore -d mydb dump && pgwatch migrate rebase`,
    )
    .action((_, command: Command) => rebase(command.optsWithGlobals()));
}

async function up(options: CommonOptions): Promise<void> {
  const { migrateUp } = await import('../../database/migrate.ts');
  const { readNamesakes } = await import('../../database/api-functions.ts');
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'bare' }, async (client, config) => {
    const applied = await migrateUp(client, config, (what) => reporter.info(`Restored ${what}.`));
    for (const { number, name } of applied) reporter.info(`Applied migration ${number} "${name}".`);
    reporter.info(
      applied.length === 0
        ? `Schema "${config.schema}" is up to date.`
        : `Schema "${config.schema}" is ready. Publish with smart_notify(), consume with "pgwatch listen".`,
    );
    for (const { sentence } of await readNamesakes(client, config)) reporter.warn(sentence);
  });
}

async function status(
  options: CommonOptions & { json?: boolean },
  outcome: CommandResult,
): Promise<void> {
  const { readMigrationStates } = await import('../../database/migrate.ts');
  const states = await withDatabase(options, { mode: 'bare' }, readMigrationStates);
  outcome.exitCode = states.every(({ state }) => state === 'applied') ? 0 : 1;
  if (options.json) return printJson(states);
  printTable(
    ['NUMBER', 'NAME', 'STATE', 'APPLIED'],
    states.map(({ number, name, state, appliedAt }) => [
      String(number),
      name,
      state,
      appliedAt?.toISOString() ?? '-',
    ]),
  );
}

async function printSql(options: CommonOptions): Promise<void> {
  const { bootstrapSql, grantSql, migrationSql, readMigrations } = await import(
    '../../database/migrations.ts'
  );
  const config = await configFor(options);
  const migrations = readMigrations().map((migration) => migrationSql(migration, config));
  const parts = [bootstrapSql(config), ...migrations, grantSql(config)];
  const transactions = parts
    .filter((part) => part !== '')
    .map((part) => `begin;\n\n${part}\ncommit;\n`);
  process.stdout.write(transactions.join('\n'));
}

async function remove(
  options: CommonOptions & { yes?: boolean },
  outcome: CommandResult,
): Promise<void> {
  const { readFootprint, uninstall } = await import('../../database/uninstall.ts');
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'bare' }, async (client, config) => {
    const {
      notifications,
      consumers,
      triggered_tables: tables,
    } = await readFootprint(client, config);
    const loss = [
      countOf(notifications, 'notification'),
      `the positions of ${countOf(consumers, 'consumer')}`,
      ...(tables.length > 0 ? [`the triggers on ${tables.join(', ')}`] : []),
    ].join(' and ');
    const question = `This removes schema "${config.schema}" with ${loss}.`;
    if (!(await confirm(question, options, { outcome, reporter }))) return;
    await uninstall(client, config);
    reporter.info(`Removed ${loss}.`);
  });
}

async function rebase(options: CommonOptions): Promise<void> {
  const { requireCurrentSchema } = await import('../../database/migrate.ts');
  const { rebaseLog } = await import('../../log/origin.ts');
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'bare' }, async (client, config) => {
    await requireCurrentSchema(client, config);
    const { notifications, lastId } = await rebaseLog(client, config.schema, (message) =>
      reporter.info(message),
    );
    reporter.info(
      `The log is this server's own now: ${countOf(notifications, 'notification')}, the last with id ${lastId}.`,
    );
  });
}
