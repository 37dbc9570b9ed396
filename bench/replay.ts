/*
How fast one consumer with an empty handler replays a backlog, and in how much memory:
  npm run bench -- replay [ROWS] [PAYLOAD_BYTES]
*/
import { checkConsumer } from '../src/consumers/check.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import { withConnection } from '../src/database/connect.ts';
import { StreamReporter } from '../src/reporter.ts';
import { withServer } from './server.ts';

const [rows = 500_000, payloadBytes = 50] = process.argv.slice(2).map(Number);
await withServer(async (config) => {
  await withConnection(config, async (client) => {
    await client.query(`set pgwatch.notify = off`);
    await client.query(
      `select count(smart_notify('c', jsonb_build_object('n', n, 'text', repeat('x', $2))))
        from generate_series(1, $1::int) as n`,
      [rows, payloadBytes],
    );
    await client.query('vacuum analyze pgwatch.notification_log');
  });
  for (const round of [1, 2, 3]) {
    let count = 0;
    let memory = 0;
    const consumer = checkConsumer(
      {
        id: `c${round}`,
        channels: ['c'],
        handle() {
          count += 1;
          if (count % 10_000 === 0) memory = Math.max(memory, process.memoryUsage.rss());
        },
      },
      '/consumers/c.ts',
      '/consumers',
    );
    const daemon = new Daemon({
      config,
      consumers: [consumer],
      reporter: new StreamReporter({ level: 'error' }),
    });
    const startedAt = performance.now();
    await daemon.runOnce(new AbortController().signal);
    const seconds = (performance.now() - startedAt) / 1000;
    console.log(
      `${count} notifications of ${payloadBytes} bytes in ${seconds.toFixed(2)} s: ` +
        `${Math.round(count / seconds)}/s, ` +
        `resident memory ${Math.round(memory / 2 ** 20)} MB at most`,
    );
  }
});
