import { errorCodeOf } from '../errors.ts';
import { backoffMs, sleep } from '../time.ts';
import { SQLSTATE } from './sqlstate.ts';

export type PatienceOptions = {
  /** How long to try, in milliseconds, while others hold what it needs. */
  patienceMs: number;
  signal: AbortSignal;
};

/**
 * Does work that waits for a lock only a moment, because those who come after it wait behind it,
 * and tries again. Returns what the work returns.
 * @param onRefused told each time that a lock was not to be had; what it throws ends it
 * @throws what the work throws for other reasons, and at the end of its patience
 */
export async function patiently<T>(
  work: () => Promise<T>,
  onRefused: (isLast: boolean) => Promise<void>,
  { patienceMs, signal }: PatienceOptions,
): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (errorCodeOf(thrown) !== SQLSTATE.lockNotAvailable) throw thrown;
      const isLast = performance.now() > giveUpAt || signal.aborted;
      await onRefused(isLast);
      if (isLast) throw thrown;
      await sleep(backoffMs(attempt, { baseMs: 200, capMs: 2000 }), signal);
    }
  }
}
