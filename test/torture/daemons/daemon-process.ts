/*
The daemon that a round starts, harms and kills: node daemon-process.ts SETUP. It records what its
handlers do outside the database.
*/
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/load.ts';
import { checkConsumer } from '../../../src/consumers/check.ts';
import { Daemon } from '../../../src/daemon/daemon.ts';
import { pageReader } from '../../../src/log/page.ts';
import { StreamReporter } from '../../../src/reporter.ts';
import type { Handling } from '../history/history.ts';
import { RecordWriter } from '../history/record.ts';
import { makeHandler } from './handlers.ts';
import type { DaemonSetup } from './setup.ts';
import { signalAtStep, stopAfterWork } from './signal-at-step.ts';
import { makeWrongReader } from './wrong-readers.ts';

const setup = JSON.parse(process.argv[2] ?? '{}') as DaemonSetup;
const { url, folder, reader, killAt } = setup;
const config = await loadConfig({
  flags: { url, ...setup.config },
  environment: {},
  folder,
});
const record = new RecordWriter<Handling>(join(folder, 'handlings.jsonl'));
if (killAt !== undefined) signalAtStep('SIGKILL', killAt, record);
process.on('SIGUSR2', () => signalAtStep('SIGSTOP', 1 + Math.floor(Math.random() * 30), record));
const exact = setup.consumers.filter(({ options }) => options.transaction).map(({ id }) => id);
process.on('SIGHUP', () => stopAfterWork(exact, record));
const consumers = setup.consumers.map(({ id, handler, options }) =>
  checkConsumer(
    {
      id,
      channels: ['torture'],
      from: 'start',
      // Within the duration of a round.
      retry: { attempts: 100, backoff: () => 50 },
      ...options,
      handle: makeHandler(handler, { record, url, folder }),
    },
    join(folder, `${id}.ts`),
    folder,
  ),
);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
await new Daemon({
  config,
  consumers,
  reporter: new StreamReporter({ level: 'warn' }),
  readPage: reader ? makeWrongReader(reader) : pageReader(config.schema),
}).run(stop.signal);
