import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../helpers/wait.ts';
import { EXACT, RECORDING } from './consumers.ts';
import type { ConsumerSetup, DaemonSetup } from './daemons/setup.ts';
import type { World } from './world.ts';
import type { WriterOptions } from './writers/writers.ts';

export type Load = {
  /** How many daemons run. Default 1. */
  daemons?: number;
  /** Default: one that delivers at least once, and one with exactly-once effects. */
  consumers?: readonly ConsumerSetup[];
  writers?: Partial<WriterOptions>;
  /** How the setup of a daemon differs; called for each of its processes. */
  daemon?: () => Partial<DaemonSetup>;
  /** Harms the world until the signal aborts; all harm must have ended when it returns. */
  harm(signal: AbortSignal): Promise<void>;
};

/** Runs writers and daemons while harm is done, and for a moment after it. */
export async function underLoad(world: World, load: Load): Promise<void> {
  for (const consumer of load.consumers ?? [RECORDING, EXACT]) world.addConsumer(consumer);
  for (let count = load.daemons ?? 1; count > 0; count--) world.addDaemon(load.daemon);
  await until('the consumers are registered', async () => {
    const rows = await world.query('select from pgwatch.consumer_progress');
    return rows.length === world.consumers.length || `${rows.length} are`;
  });
  const writersStop = new AbortController();
  const writing = world.write(load.writers ?? {}, writersStop.signal);
  try {
    await load.harm(AbortSignal.timeout(world.durationMs));
    // The writers continue for a moment, so the recovery is tested, too.
    await delay(AFTERMATH_MS);
  } finally {
    writersStop.abort();
    await writing;
  }
}

/** Waits until each consumer has handled some: on a busy machine a process starts slowly. */
export async function untilAtWork(world: World): Promise<void> {
  const areAtWork = async () => {
    const rows = await world.query<{ id: number }>(
      'select greatest(done_id, window_id)::float8 as id from pgwatch.consumer_progress',
    );
    return rows.every(({ id }) => id > 50) || JSON.stringify(rows);
  };
  await until('the consumers are at work', areAtWork, 30_000);
}

/** Acts repeatedly, at random intervals within those limits, until the signal aborts. */
export async function repeatedly(
  world: World,
  [leastMs, mostMs]: readonly [number, number],
  signal: AbortSignal,
  act: () => Promise<void> | void,
): Promise<void> {
  for (;;) {
    const waitMs = leastMs + world.random() * (mostMs - leastMs);
    await delay(waitMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    await act();
  }
}

const AFTERMATH_MS = 300;
