import type { Config } from '../../config/define.ts';
import type { Queryable } from '../../database/connect.ts';
import type { Pool } from '../../database/pool.ts';
import { toError } from '../../errors.ts';
import { notify } from '../../log/publish.ts';
import type { Reporter } from '../../reporter.ts';
import { sleep } from '../../time.ts';
import { advanceOrder, deleteOrder, insertOrder } from './orders.ts';

/** The channels that the demo writes to. */
export const DEMO_CHANNELS: readonly string[] = ['data_change', 'orders', 'reports'];

/** Writes before the daemon starts: changes of rows, a message, and a large message. */
export async function writeBacklog(client: Queryable, { apiSchema }: Config): Promise<void> {
  for (let count = 0; count < 3; count++) await insertOrder(client);
  await advanceOrder(client);
  await publishRating(client, apiSchema);
  await publishReport(client, apiSchema);
}

/** Writes a few times a second until the signal aborts. A failure is reported and tried again. */
export async function runTraffic(
  pool: Pool,
  { config, reporter }: { config: Config; reporter: Reporter },
  signal: AbortSignal,
): Promise<void> {
  for (let step = 1; !signal.aborted; step++) {
    await sleep(PAUSE_MS * (0.5 + Math.random()), signal);
    if (signal.aborted) return;
    try {
      await pool.withClient((client) => write(client, config.apiSchema, step));
    } catch (thrown) {
      reporter.warn(`The demo could not write: ${toError(thrown).message}.`);
      await sleep(PAUSE_AFTER_FAILURE_MS, signal);
    }
  }
}

async function write(client: Queryable, apiSchema: string, step: number): Promise<void> {
  if (step % STEPS_PER_REPORT === 0) return publishReport(client, apiSchema);
  if (step % 6 === 0) return publishRating(client, apiSchema);
  if (step % 2 === 0 && (await advanceOrder(client)) !== undefined) return;
  if (!(await deleteOrder(client))) await insertOrder(client);
}

/** A notification that an application publishes itself, without changing a row. */
async function publishRating(client: Queryable, apiSchema: string): Promise<void> {
  const order = Math.ceil(Math.random() * 99);
  const payload = { order, stars: Math.ceil(Math.random() * 5) };
  await notify(client, 'orders', payload, { key: `order:${order}`, apiSchema });
}

/**
 * A payload of about 20 KB. NOTIFY holds 8000 bytes, so it stays in the log and is sent by
 * reference.
 */
async function publishReport(client: Queryable, apiSchema: string): Promise<void> {
  const sales = Array.from({ length: 600 }, (_, index) => ({ order: index + 1, total: '49.90' }));
  const day = new Date().toISOString().slice(0, 10);
  await notify(client, 'reports', { day, sales }, { key: day, apiSchema });
}

const PAUSE_MS = 350;
const PAUSE_AFTER_FAILURE_MS = 2000;
const STEPS_PER_REPORT = 17;
