import { countOf } from '../count-of.ts';
import type { Delivery } from '../log/deliveries/dead-letters.ts';
import type { ErrorRecord } from '../log/deliveries/delivery.ts';
import { shortDuration } from '../time.ts';

/** 'dead', 'blocked', 'retry in 5 min', 'retry now'; 'replay now' of one that has not failed. */
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

/** How long ago a time is, '-' where there is none. */
export function describeAge(time: Date | null): string {
  return time ? `${shortDuration(Math.max(0, Date.now() - time.getTime()))} ago` : '-';
}

/** 'TypeError: x is not a function'; a name that says nothing is left out. */
export function describeError(error: ErrorRecord | null): string {
  if (!error) return '-';
  return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`;
}

export { countOf };
