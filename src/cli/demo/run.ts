import type { Config } from '../../config/define.ts';
import type { Consumer } from '../../consumers/define.ts';
import { Daemon } from '../../daemon/daemon.ts';
import { qualified } from '../../database/names.ts';
import { Pool } from '../../database/pool.ts';
import { usualTarget } from '../../database/target.ts';
import { countNotifications } from '../../log/count.ts';
import { readNewestPosition } from '../../log/positions/beginning.ts';
import type { ReportFormat, StreamReporter } from '../../reporter.ts';
import { createOrders } from './orders.ts';
import type { Receiver } from './receiver.ts';
import { DemoScreen, type Tally } from './screen.ts';
import { DEMO_CHANNELS, runTraffic, writeBacklog } from './traffic.ts';

export type DemoOptions = {
  config: Config;
  /** The project's own consumers, which run in addition to the demo's. */
  consumers: readonly Consumer[];
  receiver: Receiver;
  reporter: StreamReporter;
  format: ReportFormat;
};

/** Writes to the database and shows what arrives until the signal aborts, then sums up. */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const { config, consumers, receiver, reporter, format } = options;
  const pool = new Pool({ ...usualTarget(config), size: 2, applicationName: 'pgwatch demo' });
  try {
    const afterId = await prepare(pool, options);
    const screen = new DemoScreen(reporter, { channels: DEMO_CHANNELS, afterId, format });
    const daemon = new Daemon({ config, consumers: [...consumers, screen.consumer], reporter });
    // The writers stop first, so the daemon can deliver everything that was written.
    const [stop, ended] = [new AbortController(), new AbortController()];
    const running = daemon.run(stop.signal).finally(() => ended.abort());
    await runTraffic(pool, options, AbortSignal.any([signal, ended.signal]));
    const written = await countWritten(pool, config, afterId);
    if (!ended.signal.aborted) await screen.untilHandled(written ?? 0, LAST_ONES_MS);
    stop.abort();
    await running;
    sumUp(reporter, { ...screen.tally, written, received: receiver.received });
  } finally {
    await pool.close();
  }
}

/** @returns the newest id before this run wrote anything */
async function prepare(pool: Pool, { config, reporter }: DemoOptions): Promise<number> {
  const { doneId, written } = await pool.withClient(async (client) => {
    const before = await readNewestPosition(client, config.schema);
    await createOrders(client, config.apiSchema);
    await writeBacklog(client, config);
    const range = { afterId: before.doneId, channels: DEMO_CHANNELS };
    return { ...before, written: await countNotifications(client, config.schema, range) };
  });
  const { apiSchema } = config;
  const name = apiSchema === 'public' ? 'smart_notify' : qualified(apiSchema, 'smart_notify');
  reporter.info(
    [
      'Changes you make there show up here, for example:',
      '',
      `    insert into demo.orders (item, buyer) values ('tea', 'you');`,
      `    select ${name}('orders', '{"hello": "world"}');`,
      '',
    ].join('\n'),
  );
  reporter.info(
    `${written} notifications were written before the daemon started: they come first.`,
  );
  return doneId;
}

/** Returns undefined if the database no longer answers. */
async function countWritten(pool: Pool, config: Config, afterId: number) {
  const range = { afterId, channels: DEMO_CHANNELS };
  return pool
    .withClient((client) => countNotifications(client, config.schema, range))
    .catch(() => undefined);
}

function sumUp(
  reporter: StreamReporter,
  sums: Tally & { written: number | undefined; received: number },
): void {
  const { written, handled, replayed, large, received, latenciesMs } = sums;
  const waiting = (written ?? 0) - handled;
  const rest =
    waiting > 0 ? `; ${waiting} wait in the log for the next start.` : ': none were lost.';
  reporter.info(
    written === undefined
      ? `${handled} notifications handled. The database does not answer; it keeps the rest.`
      : `${written} notifications written, ${handled} handled${rest}`,
  );
  const sorted = latenciesMs.sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  const latency =
    median === undefined ? '' : ` Latency: median ${median} ms, slowest ${sorted.at(-1)} ms.`;
  reporter.info(`${replayed} were replayed, ${large} were large.${latency}`);
  if (received > 0) reporter.info(`${received} were posted to the demo's own webhook receiver.`);
}

const LAST_ONES_MS = 3000;
