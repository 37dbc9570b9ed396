import { join } from 'node:path';
import { loadConfig } from '../../../src/config/load.ts';
import { checkConsumer } from '../../../src/consumers/check.ts';
import { Daemon } from '../../../src/daemon/daemon.ts';
import { pageReader } from '../../../src/log/page.ts';
import { StreamReporter } from '../../../src/reporter.ts';
import type { DaemonSetup } from './setup.ts';
import { definitionOf, type TortureConsumer } from './torture-consumer.ts';
import { makeWrongReader } from './wrong-readers.ts';

/** Runs consumers as "pgwatch listen" does, until the signal aborts. */
export async function runByDaemon(
  setup: DaemonSetup,
  consumers: readonly TortureConsumer[],
  stop: AbortSignal,
): Promise<void> {
  const { url, folder, reader } = setup;
  const config = await loadConfig({ flags: { url, ...setup.config }, environment: {}, folder });
  await new Daemon({
    config,
    consumers: consumers.map((consumer) =>
      checkConsumer(definitionOf(consumer), join(folder, `${consumer.id}.ts`), folder),
    ),
    reporter: new StreamReporter({ level: 'warn' }),
    readPage: reader ? makeWrongReader(reader) : pageReader(config.schema),
  }).run(stop);
}
