import type { Facts, FoundDelivery, Runner } from './facts.ts';

/**
 * Why a notification has or has not arrived at a consumer.
 *
 * done            it was handled
 * skipped         the consumer began after it
 * done_or_skipped the position was moved past it; whether it was handled before is not stored
 * filtered        the consumer does not read its channel
 * before_channel  it was published before the consumer began to read its channel
 * restored        the position is past it, but the log and the positions do not belong together
 * gone            it is not in the log, and the consumer has no record of it
 * unregistered    the consumer is not registered any more, but a delivery of it is still stored
 * dead            it is a dead letter
 * discarded       it became a dead letter, which was discarded
 * backoff         it failed, and is retried later
 * due             it is due; a daemon takes it at any moment
 * replay          a replay of it was requested, and is pending
 * blocked         it waits for an earlier notification with its key
 * under_way       a process has taken it, and is handling it or is about to
 * leased          it belongs to a lease that no process has taken yet
 * late            it was committed after the position had passed it; the next read finds it
 * waiting         others come before it
 *
 * These keep all notifications from the consumer:
 *
 * paused, not_running
 * stopped         it takes nothing new, because of a dead letter
 * overfull        it takes nothing new, because too many notifications wait for a retry
 */
export type Reason =
  | { code: 'done' }
  | { code: 'skipped' | 'done_or_skipped'; at: Date }
  | { code: 'discarded'; at: Date; isInLog: boolean }
  | { code: 'filtered'; channels: string[] }
  | { code: 'before_channel'; fromId: number; since: Date }
  | { code: 'gone' | 'unregistered' }
  | { code: 'restored' }
  | ({ code: 'dead'; isGone: boolean } & Failure)
  | ({ code: 'backoff' | 'due' | 'replay' } & Failure)
  | { code: 'blocked'; by: FoundDelivery | null }
  | { code: 'under_way'; attempt: number; runner: Runner }
  | { code: 'leased'; earlier: number; runner: Runner | null }
  | { code: 'late' }
  | {
      code: 'waiting';
      ahead: number;
      isExact: boolean;
      reachedId: number;
      rate: number | null;
      /** It may be in a page that the owner is working on: only the owner knows. */
      mayBeUnderWay: boolean;
      /** The owner has finished nothing lately, although this one waits: a handler may hang. */
      isStill: boolean;
    }
  | { code: 'paused'; since: Date; until: Date | null }
  | { code: 'not_running'; seenAt: Date; runner: Runner | null }
  | { code: 'stopped' | 'overfull'; runner: Runner };

type Failure = Pick<
  FoundDelivery,
  'attempts' | 'nextAttemptAt' | 'firstFailedAt' | 'lastFailedAt' | 'lastError'
>;

export type Answer = {
  consumerId: string;
  /** Null if that is not known. */
  isArrived: boolean | null;
  /** False for a notification of another channel, or from before the consumer began. */
  isExpected: boolean;
  /** The one that explains most comes first. */
  reasons: Reason[];
};

/** What has become of the notification itself, apart from what keeps the whole consumer. */
export function ownReason({ reasons }: Answer): Reason | undefined {
  return reasons.find(({ code }) => !OBSTACLES.includes(code)) ?? reasons[0];
}

/**
 * Decides from the facts alone.
 * @param log.isPresent whether the log holds the notification
 * @param log.pageRows how many notifications a page has
 * @param log.isRestored true if the positions do not belong to this log
 */
export function decide(
  facts: Facts,
  log: { isPresent: boolean; pageRows: number; isRestored: boolean },
): Answer {
  const { consumerId } = facts;
  const settled = settledReason(facts, log.isPresent);
  if (!settled) {
    const reasons = [...obstacles(facts), ...pendingReasons(facts, log.pageRows)];
    return { consumerId, isArrived: false, isExpected: true, reasons };
  }
  const { code } = settled;
  if (log.isRestored && code === 'done') {
    return { consumerId, isArrived: null, isExpected: true, reasons: [{ code: 'restored' }] };
  }
  const isArrived = code === 'done_or_skipped' ? null : code === 'done';
  return { consumerId, isArrived, isExpected: !NOT_MEANT.includes(code), reasons: [settled] };
}

/** Null while the notification is still to be delivered. */
function settledReason(facts: Facts, isPresent: boolean): Reason | null {
  const { delivery, discardedAt, channels, beganAt, registeredAt } = facts;
  if (delivery?.state === 'dead') {
    return { code: 'dead', isGone: !isPresent && !delivery.isCopied, ...failureOf(delivery) };
  }
  if (delivery || facts.lease) return null;
  if (discardedAt) return { code: 'discarded', at: discardedAt, isInLog: isPresent };
  if (!isPresent) return { code: 'gone' };
  const { isWanted, isSettled, isSkipped, wasRead, readSince } = facts;
  // A channel that it no longer reads may have been delivered while it did.
  if (!isWanted && !(isSettled && wasRead === true)) return { code: 'filtered', channels };
  if (!isSettled) return null;
  const wasMoved = beganAt.getTime() !== registeredAt.getTime();
  if (isSkipped && !wasMoved) return { code: 'skipped', at: beganAt };
  if (wasRead === false && readSince) {
    return { code: 'before_channel', fromId: readSince.id, since: new Date(readSince.ms) };
  }
  return isSkipped ? { code: 'done_or_skipped', at: beganAt } : { code: 'done' };
}

/** What keeps all notifications from the consumer. */
function obstacles({ pausedAt, pausedUntil, runners, savedAt }: Facts): Reason[] {
  if (pausedAt) return [{ code: 'paused', since: pausedAt, until: pausedUntil }];
  const live = runners.filter(({ isLive }) => isLive);
  if (live.length === 0) {
    return [{ code: 'not_running', seenAt: savedAt, runner: runners.at(-1) ?? null }];
  }
  const stopped = live.find(({ state }) => state === 'stopped');
  if (stopped) return [{ code: 'stopped', runner: stopped }];
  const overfull = live.find(({ state }) => state === 'retrying');
  return overfull ? [{ code: 'overfull', runner: overfull }] : [];
}

function pendingReasons(facts: Facts, pageRows: number): Reason[] {
  const { delivery, blocker, lease, ahead, isExact, reachedId } = facts;
  if (lease?.runner?.isLive) {
    return [{ code: 'under_way', attempt: (delivery?.attempts ?? 0) + 1, runner: lease.runner }];
  }
  const runner = facts.runners.find(({ isLive }) => isLive);
  const attempt = delivery?.calledAttempt ?? null;
  if (runner && attempt !== null) return [{ code: 'under_way', attempt, runner }];
  if (delivery) return [deliveryReason(delivery, blocker)];
  if (lease) return [{ code: 'leased', earlier: lease.earlier, runner: lease.runner }];
  const behind: Reason[] = blocker ? [{ code: 'blocked', by: blocker }] : [];
  if (facts.isLate) return [...behind, { code: 'late' }];
  const isWorking = runner !== undefined && runner.state !== 'stopped';
  const mayBeUnderWay = isWorking && !facts.isShared && isExact && ahead < pageRows;
  const rate = runner?.rate ?? null;
  const isStill = mayBeUnderWay && rate === 0 && (facts.ageMs ?? 0) > STILL_MS;
  return [...behind, { code: 'waiting', ahead, isExact, reachedId, rate, mayBeUnderWay, isStill }];
}

function deliveryReason(delivery: FoundDelivery, blocker: FoundDelivery | null): Reason {
  if (delivery.state === 'blocked' || blocker) return { code: 'blocked', by: blocker };
  if (delivery.isReplay && delivery.attempts === 0) {
    return { code: 'replay', ...failureOf(delivery) };
  }
  // A call that nobody makes any longer is due as soon as a daemon takes the consumer.
  const isDue = delivery.isDue || delivery.calledAttempt !== null;
  return { code: isDue ? 'due' : 'backoff', ...failureOf(delivery) };
}

function failureOf({
  attempts,
  nextAttemptAt,
  firstFailedAt,
  lastFailedAt,
  lastError,
}: FoundDelivery) {
  return { attempts, nextAttemptAt, firstFailedAt, lastFailedAt, lastError };
}

/** With these reasons it is not expected to arrive. */
const NOT_MEANT: readonly Reason['code'][] = ['filtered', 'before_channel', 'skipped', 'gone'];

const OBSTACLES: readonly Reason['code'][] = ['paused', 'not_running', 'stopped', 'overfull'];

/** Longer than the span that a daemon measures its rate over, and the time until it reports it. */
const STILL_MS = 30_000;
