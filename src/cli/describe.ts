import type { Delivery } from '../log/deliveries/dead-letters.ts';
import { shortDuration } from '../time.ts';

/** 'dead', 'blocked', 'retry in 5 min', 'retry now'; 'replay now' if it has not failed. */
export function describeState({
  state,
  nextAttemptAt,
  replayedAt,
  lastFailedAt,
}: Pick<Delivery, 'state' | 'nextAttemptAt' | 'replayedAt' | 'lastFailedAt'>): string {
  const isReplay = replayedAt !== null && lastFailedAt === null;
  if (state === 'blocked' && isReplay) return 'replay, blocked';
  if (state !== 'retry' || nextAttemptAt === null) return state;
  const waitMs = nextAttemptAt.getTime() - Date.now();
  const what = isReplay ? 'replay' : 'retry';
  return waitMs > 0 ? `${what} in ${shortDuration(waitMs)}` : `${what} now`;
}
