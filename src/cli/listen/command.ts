import { existsSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import type { Config } from '../../config/define.ts';
import type { Consumer } from '../../consumers/define.ts';
import type { Reporter } from '../../reporter.ts';
import {
  addCommonOptions,
  configFor,
  type OptionsOf,
  parseSeconds,
  reporterFor,
  splitList,
  warnUnverified,
} from '../options.ts';
import { stopSignal } from '../stop-signal.ts';
import { printJson, printTable } from '../table.ts';

/** pgwatch listen: runs the daemon. */
export function addListen(program: Command): void {
  declareListen(program)
    .description('Run consumers: catch up on what each has missed, then follow the log.')
    .addHelpText(
      'after',
      `
Consumers are the files consumers/**/*.{ts,mts,js,mjs}. Each receives every
notification of its channels at least once, in order. Its position is stored in
the database, under the id in the file, or else the name of the file.

With --once the exit code is 1 if a notification failed or still waits: for a
retry, for another process, or because the consumer is paused or stopped. It
stops trying if it cannot reach a server for ten seconds.

npx and "npm run" do not forward SIGTERM: in services and containers, start
node_modules/.bin/pgwatch listen.

Examples:
  $ pgwatch listen                               all consumers, on DATABASE_URL
  $ pgwatch listen --consumers email webhook     two of them
  $ pgwatch listen --apps billing --once         those in consumers/billing
  $ pgwatch listen --list-consumers --json       which consumers would run`,
    )
    .action(listen);
}

type ListenOptions = OptionsOf<typeof declareListen>;

function declareListen(program: Command) {
  return addCommonOptions(program.command('listen'))
    .option('--consumers <ids...>', 'only these consumers')
    .option('--exclude-consumers <ids...>', 'all except these consumers')
    .option('--apps <names...>', 'only consumers in these subfolders of the consumers folder')
    .option('--list-consumers', 'print the consumers that would run, and exit')
    .option('--json', 'with --list-consumers: print JSON')
    .option('--skip-playback', 'skip everything that was missed; it is never delivered')
    .option('--max-batch-size <n>', 'read at most n notifications at once (default: 500)')
    .option(
      '--timeout <seconds>',
      'time between polls if no doorbell rings (default: 5)',
      parseSeconds,
    )
    .option(
      '--reconnect-delay <seconds>',
      'first wait before reconnecting (default: 0.5)',
      parseSeconds,
    )
    .option('--once', 'handle everything that is there now, and exit')
    .option('--embedded', 'use an embedded PostgreSQL, kept in .pgwatch/');
}

async function listen(options: ListenOptions): Promise<void> {
  const { findConsumers } = await import('../find-consumers.ts');
  const { selectConsumers } = await import('../../consumers/select.ts');
  const config = await configFor(options, {
    maxBatchSize: options.maxBatchSize,
    pollInterval: options.timeout,
    reconnectDelay: options.reconnectDelay,
  });
  const found = await findConsumers(config, reporterFor(options));
  const consumers = selectConsumers(found, {
    ids: splitList(options.consumers),
    excludedIds: splitList(options.excludeConsumers),
    apps: splitList(options.apps),
  });
  if (options.listConsumers) return listConsumers(consumers, options);
  const knownIds = found.map(({ id }) => id);
  await runDaemon(config, { consumers, knownIds }, options);
}

async function runDaemon(
  config: Config,
  { consumers, knownIds }: { consumers: Consumer[]; knownIds: readonly string[] },
  options: ListenOptions,
): Promise<void> {
  const reporter = reporterFor(options);
  if (consumers.length === 0) {
    reporter.warn(`There are no consumers in ${config.consumers}: nothing to do.`);
    return;
  }
  const { Daemon } = await import('../../daemon/daemon.ts');
  const { describeTarget, usualTarget } = await import('../../database/target.ts');
  const { withEmbedded } = await import('../embedded.ts');
  const signal = stopSignal(reporter);
  const run = async (complete: Config) => {
    const ids = consumers.map(({ id }) => id).join(', ');
    announcePlaces(complete, reporter);
    reporter.info(`Running ${ids} on ${describeTarget(usualTarget(complete))}.`);
    await warnUnverified(complete, reporter);
    const daemon = new Daemon({
      config: complete,
      consumers,
      knownIds,
      reporter,
      skipPlayback: options.skipPlayback ?? false,
    });
    await (options.once ? daemon.runOnce(signal) : daemon.run(signal));
    reporter.info('Stopped.');
  };
  await (options.embedded ? withEmbedded(config, reporter, run) : run(config));
}

/** Warns if a config in a folder above names another consumers folder than the one here. */
function announcePlaces({ file, consumers }: Config, reporter: Reporter): void {
  const shown = (path: string) => relative(process.cwd(), path) || '.';
  if (file !== null) {
    reporter.info(`Config ${shown(file)}, consumers in ${shown(consumers)}.`);
  }
  const here = resolve('consumers');
  if (here === consumers || file === null || dirname(file) === process.cwd()) return;
  if (!existsSync(here)) return;
  reporter.warn(
    `The folder consumers here is not used: ${shown(file)} names ${shown(consumers)}. ` +
      'To use it, set PGWATCH_CONSUMERS=consumers.',
  );
}

async function listConsumers(
  consumers: readonly Consumer[],
  options: ListenOptions,
): Promise<void> {
  const { consumerChannel } = await import('../../log/channels.ts');
  const rows = consumers.map(({ id, app, channels, from, file }) => ({
    id,
    app,
    channels: channels.filter((channel) => channel !== consumerChannel(id)),
    from: from instanceof Date ? from.toISOString() : from,
    file: file && relative(process.cwd(), file),
  }));
  if (options.json) {
    printJson(rows);
    return;
  }
  printTable(
    ['CONSUMER', 'APP', 'CHANNELS', 'FROM', 'FILE'],
    rows.map((row) => [
      row.id,
      row.app ?? '-',
      row.channels.join(', '),
      String(row.from),
      row.file ?? '-',
    ]),
  );
}
