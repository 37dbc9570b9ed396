import type { Duration } from '../config/define.ts';
import { duration } from '../kinds.ts';
import { checkedOptions } from '../service/checked-options.ts';
import { formatDuration } from '../time.ts';

/**
 * Waits until something is true, looking every few milliseconds.
 * @param predicate may be async; what it throws counts as "not yet"
 * @param options.timeout default '5s'
 * @returns what the predicate returned
 * @throws PgwatchError input_invalid
 * @throws Error after the timeout, with what the predicate threw last as its cause
 */
export async function waitFor<T>(
  predicate: () => T | Promise<T>,
  options: { timeout?: Duration } = {},
): Promise<T> {
  const { timeout: timeoutMs = 5000 } = checkedOptions('waitFor()', options, {
    timeout: duration('5s'),
  });
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const found = await predicate();
      if (found) return found;
    } catch (thrown) {
      cause = thrown;
    }
    if (performance.now() >= deadline) {
      const after = formatDuration(timeoutMs);
      throw new Error(`waitFor() gave up after ${after}: ${predicate}`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const LOOK_MS = 10;
