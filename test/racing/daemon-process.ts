/*
The daemon that a race starts and kills: node daemon-process.ts URL READER FILE. It appends the payload
of each notification to the file, which is the record outside of the database.
*/
import { openSync, writeSync } from 'node:fs';
import { loadConfig } from '../../src/config/load.ts';
import { checkConsumer } from '../../src/consumers/check.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { pageReader } from '../../src/log/page.ts';
import { Reporter } from '../../src/reporter.ts';
import { WRONG_READERS } from './wrong-readers.ts';

const [url, reader = '', file = ''] = process.argv.slice(2);
const config = await loadConfig({
  flags: { url, maxBatchSize: 20, reconnectDelay: '20ms', pollInterval: '1s' },
  environment: {},
});
const output = openSync(file, 'a');
const consumer = checkConsumer(
  {
    id: `race_${Object.keys(WRONG_READERS).indexOf(reader)}`,
    channels: ['race'],
    from: 'now',
    handle: (notification: { payload: unknown }) => writeSync(output, `${notification.payload}\n`),
  },
  '/consumers/race.ts',
  '/consumers',
);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
await new Daemon({
  config,
  consumers: [consumer],
  reporter: new Reporter({ level: 'error' }),
  readPage: WRONG_READERS[reader] ?? pageReader(config.schema),
}).run(stop.signal);
