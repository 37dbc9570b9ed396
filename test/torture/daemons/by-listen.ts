import { createPgwatch } from '../../../src/index.ts';
import { openPool } from './effect.ts';
import type { DaemonSetup } from './setup.ts';
import { definitionOf, type TortureConsumer } from './torture-consumer.ts';

/** Runs consumers as a program with a pool of its own does, until the signal aborts. */
export async function runByListen(
  { url, config }: DaemonSetup,
  consumers: readonly TortureConsumer[],
  stop: AbortSignal,
): Promise<void> {
  const pool = openPool(url);
  const pgwatch = createPgwatch({ pool, ...config });
  const listening = await pgwatch.listen(consumers.map(definitionOf), { signal: stop });
  await listening.done;
  await pgwatch.close();
  await pool.end();
}
