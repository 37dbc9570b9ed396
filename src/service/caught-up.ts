import type { Config } from '../config/define.ts';
import type { Queryable } from '../database/connect.ts';
import { readClock, readLags } from '../log/positions/lag.ts';
import { backoffMs, sleep } from '../time.ts';

/**
 * Waits until consumers have handled everything that was written before the call. Failed
 * notifications that wait for a retry do not count.
 * @param signal ends the waiting
 */
export async function untilCaughtUp(
  client: Queryable,
  { schema }: Config,
  consumerIds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const now = await readClock(client);
  for (let looks = 1; !signal.aborted; looks += 1) {
    const lags = await readLags(client, schema, consumerIds);
    // A consumer without a position has not been registered yet.
    const isDone = consumerIds.every((id) => {
      const lag = lags.get(id);
      return lag && (lag.oldestAt === null || lag.oldestAt > now);
    });
    if (isDone) return;
    await sleep(backoffMs(looks, { baseMs: LOOK_MS_MIN, capMs: LOOK_MS_MAX }), signal);
  }
}

const LOOK_MS_MIN = 10;
const LOOK_MS_MAX = 500;
