/* A process of every-process.e2e.test.ts: prints what it receives, a line for each. */
import { createPgwatch } from '../../src/index.ts';
import { SILENT } from '../../src/testing/silent.ts';

const pgwatch = createPgwatch({
  reconnectDelay: 20,
  heartbeatInterval: 200,
  reporter: SILENT,
});
const subscription = pgwatch.subscribe<string>({ channels: ['prices'], every: 'process' });
await subscription.ready();
process.stdout.write('ready\n');
for await (const { payload } of subscription) process.stdout.write(`${payload}\n`);
