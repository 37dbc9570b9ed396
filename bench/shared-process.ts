/* One of the processes of bench/shared.ts: node shared-process.ts URL FILE HANDLER_MS. */
import { openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../src/config/load.ts';
import { checkConsumer } from '../src/consumers/check.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import type { Notification } from '../src/log/notification.ts';
import { StreamReporter } from '../src/reporter.ts';

const [url, file = '', handlerMs = '0'] = process.argv.slice(2);
const output = openSync(file, 'a');
const waitMs = Number(handlerMs);
const consumer = checkConsumer(
  {
    id: 'shared',
    channels: ['c'],
    instances: 'shared',
    concurrency: waitMs > 0 ? 10 : 1,
    handle({ payload }: Notification) {
      if (waitMs === 0) return writeSync(output, `${payload}\n`);
      return delay(waitMs).then(() => writeSync(output, `${payload}\n`));
    },
  },
  '/consumers/shared.ts',
  '/consumers',
);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const config = await loadConfig({ flags: { url }, environment: {} });
await new Daemon({
  config,
  consumers: [consumer],
  reporter: new StreamReporter({ level: 'error' }),
}).run(stop.signal);
