import { errorCodeOf } from '../errors.ts';
import { backoffMs, sleep } from '../time.ts';
import { SQLSTATE } from './sqlstate.ts';

export type PatienceOptions = {
  /** How long to keep trying, in milliseconds, while other sessions hold the locks. */
  patienceMs: number;
  signal: AbortSignal;
};

/**
 * Does work that waits for a lock only briefly, because later sessions queue behind it, and retries
 * it, as it does if a concurrent transaction made the server roll it back. Returns what the work
 * returns.
 * @param onRefused called each time a lock was not available; if it throws, that ends the attempts
 * @throws what the work throws for other reasons, and when patienceMs is over
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
      const isLast = performance.now() > giveUpAt || signal.aborted;
      if (errorCodeOf(thrown) === SQLSTATE.lockNotAvailable) await onRefused(isLast);
      else if (!isRolledBack(thrown)) throw thrown;
      if (isLast) throw thrown;
      await sleep(backoffMs(attempt, { baseMs: 200, capMs: 2000 }), signal);
    }
  }
}

/** True for a deadlock, or a row that another transaction has moved: class 40 of SQLSTATE. */
function isRolledBack(thrown: unknown): boolean {
  return errorCodeOf(thrown)?.startsWith('40') ?? false;
}
