import type { Command } from '@commander-js/extra-typings';
import { countOf } from '../../words.ts';
import { confirm } from '../confirm.ts';
import { withDatabase } from '../database.ts';
import {
  addCommonOptions,
  type CommandResult,
  type CommonOptions,
  configFor,
  type OptionsOf,
  reporterFor,
} from '../options.ts';
import { printJson, printTable } from '../table.ts';

/** pgwatch migrate: installs, updates and removes the schema. */
export function addMigrate(program: Command, outcome: CommandResult): void {
  const migrate = addCommonOptions(program.command('migrate'))
    .description('Install pgwatch in the database, or update it.')
    .addHelpText(
      'after',
      `
It needs no superuser: the owner of the database can run it. Running it again,
or twice at the same time, does no harm. It grants the roles named in the config
(roles: { publish, consume, read, capture }) what they need.

Examples:
  $ pgwatch migrate                      install or update
  $ pgwatch migrate status               exit code 1 if something is pending
  $ pgwatch migrate sql > pgwatch.sql    the SQL, for your own migrations
  $ pgwatch migrate rebase               after a restore into another server`,
    )
    .action(up);
  addCommonOptions(migrate.command('up'))
    .description('The same as "pgwatch migrate".')
    .addHelpText('after', '\nExamples:\n  $ pgwatch migrate up')
    .action((_, command) => up(command.optsWithGlobals()));
  declareStatus(migrate)
    .description('Show which migrations are installed; exit code 1 if one is pending or changed.')
    .addHelpText(
      'after',
      '\nExamples:\n  $ pgwatch migrate status\n  $ pgwatch migrate status --json',
    )
    .action((_, command) => status(command.optsWithGlobals(), outcome));
  addCommonOptions(migrate.command('sql'))
    .description('Print all migrations as SQL, without connecting.')
    .addHelpText('after', '\nExamples:\n  $ pgwatch migrate sql | psql mydb')
    .action((_, command) => printSql(command.optsWithGlobals()));
  declareUninstall(migrate)
    .description('Remove pgwatch from the database, with all notifications and positions.')
    .addHelpText(
      'after',
      '\nExamples:\n  $ pgwatch migrate uninstall\n  $ pgwatch migrate uninstall --yes',
    )
    .action((_, command) => remove(command.optsWithGlobals(), outcome));
  addCommonOptions(migrate.command('rebase'))
    .description('Adopt a log that was restored or copied here, so the daemon starts again.')
    .addHelpText(
      'after',
      `
Transaction ids start over in another server, so "pgwatch listen" refuses a log
that was restored into it, or whose sequence was set back. This command repairs
it. It skips nothing that a consumer has not handled; some notifications that
were handled may be delivered again.

Examples:
  $ pg_restore -d mydb dump && pgwatch migrate rebase`,
    )
    .action((_, command) => rebase(command.optsWithGlobals()));
}

/** The command that the others belong to; it takes the common options, too. */
type Migrate = Command<[], CommonOptions>;

function declareStatus(migrate: Migrate) {
  return addCommonOptions(migrate.command('status')).option('--json', 'print JSON');
}

function declareUninstall(migrate: Migrate) {
  return addCommonOptions(migrate.command('uninstall')).option('--yes', 'do not ask');
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
        : `Schema "${config.schema}" is ready. ` +
            'Publish with smart_notify(), consume with "pgwatch listen".',
    );
    for (const { sentence } of await readNamesakes(client, config)) reporter.warn(sentence);
  });
}

async function status(
  options: OptionsOf<typeof declareStatus>,
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
  options: OptionsOf<typeof declareUninstall>,
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
      `The log now belongs to this server: ${countOf(notifications, 'notification')}, ` +
        `the last with id ${lastId}.`,
    );
  });
}
