import type { FiledDelivery } from '../log/deliveries/dead-letters.ts';
import { shortDuration } from '../time.ts';

/**
 * 'dead', 'blocked', 'retry in 5 min', 'retry now'; 'replay now' if it has not failed; 'called'
 * while its handler is running.
 */
export function describeState({
  state,
  nextAttemptAt,
  calledAttempt,
  replayedAt,
  lastFailedAt,
}: Pick<
  FiledDelivery,
  'state' | 'nextAttemptAt' | 'calledAttempt' | 'replayedAt' | 'lastFailedAt'
>): string {
  const isReplay = replayedAt !== null && lastFailedAt === null;
  if (state === 'blocked' && isReplay) return 'replay, blocked';
  if (state !== 'retry' || nextAttemptAt === null) return state;
  if (calledAttempt !== null) return 'called';
  const waitMs = nextAttemptAt.getTime() - Date.now();
  const what = isReplay ? 'replay' : 'retry';
  return waitMs > 0 ? `${what} in ${shortDuration(waitMs)}` : `${what} now`;
}
