import { createPgwatch } from '../../../src/index.ts';
import { Loop } from './loop.ts';
import type { DaemonSetup } from './setup.ts';
import type { TortureConsumer } from './torture-consumer.ts';

/** Runs consumers as a program with a loop for each of them does, until the signal aborts. */
export async function runBySubscribe(
  { url, config, consumers: setups, wrongLoop }: DaemonSetup,
  consumers: readonly TortureConsumer[],
  stop: AbortSignal,
): Promise<void> {
  // Each subscription has connections of its own.
  const pgwatch = createPgwatch({ url, ...config, poolSize: 3 });
  const loops = consumers.map((consumer, index) => {
    const mayGiveBack = !setups[index]?.promised.neverOverlaps;
    return new Loop(pgwatch, consumer, { mayGiveBack, wrong: wrongLoop });
  });
  await Promise.all(loops.map((loop) => loop.run(stop)));
  await pgwatch.close();
}
