import type { Duration } from '../config/define.ts';
import { formatDuration, parseDurationMs } from '../time.ts';

/**
 * Waits until something is true, looking every few milliseconds.
 * @param predicate may be async; what it throws counts as "not yet"
 * @param options.timeout default '5s'
 * @returns what the predicate returned
 * @throws Error after the timeout, with what the predicate threw last as its cause
 */
export async function waitFor<T>(
  predicate: () => T | Promise<T>,
  { timeout = '5s' }: { timeout?: Duration } = {},
): Promise<T> {
  const timeoutMs = parseDurationMs(timeout) ?? Number.NaN;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const found = await predicate();
      if (found) return found;
    } catch (thrown) {
      cause = thrown;
    }
    // Also if the timeout is none.
    if (!(performance.now() < deadline)) {
      const after = formatDuration(timeoutMs);
      throw new Error(`waitFor() gave up after ${after}: ${predicate}`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const LOOK_MS = 10;
