import type { Facts, FoundDelivery, Runner } from './facts.ts';

/**
 * Why a notification has or has not arrived at a consumer.
 *
 * done         it was handed out, and is settled
 * skipped      the consumer began after it
 * done_or_skipped  the position was moved since: whether it had passed the notification before is
 * not stored filtered     the consumer does not read its channel before_channel  it was published
 * before the consumer began to read its channel restored     by its position it is done, but the
 * log and the positions do not belong together gone         the log does not hold it, and the
 * consumer knows nothing of it dead         it was given up discarded    it became a dead letter,
 * and somebody discarded that backoff      it has failed, and is called again later due
 * its turn has come; a daemon takes it at any moment replay       somebody asked for it once more
 * blocked      it waits for an earlier one of its key under_way    a process has taken it, and
 * works on it or is about to leased       it is part of work that nobody has taken yet late
 * it was committed behind the position, and is handed out with the next read waiting      others
 * come before it
 *
 * What keeps all of a consumer's notifications:
 *
 * paused, not_running
 * stopped      it takes nothing new, because of a dead letter
 * overfull     it takes nothing new, because too much waits for a retry
 */
export type Reason =
  | { code: 'done' }
  | { code: 'skipped' | 'done_or_skipped'; at: Date }
  | { code: 'discarded'; at: Date; isInLog: boolean }
  | { code: 'filtered'; channels: string[] }
  | { code: 'before_channel'; fromId: number; since: Date }
  | { code: 'gone' }
  | { code: 'restored' }
  | ({ code: 'dead' | 'backoff' | 'due' | 'replay' } & Pick<
      FoundDelivery,
      'attempts' | 'nextAttemptMs' | 'firstFailedMs' | 'lastFailedMs' | 'lastError'
    >)
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
      /** Its owner works on pages that it may be part of: only the owner knows. */
      mayBeUnderWay: boolean;
      /** Its owner has finished nothing lately, though this one waits: a handler may hang. */
      isStill: boolean;
    }
  | { code: 'paused'; since: Date; until: Date | null }
  | { code: 'not_running'; seenAt: Date; runner: Runner | null }
  | { code: 'stopped' | 'overfull'; runner: Runner };

export type Answer = {
  consumerId: string;
  /** Null: it is not known. */
  isArrived: boolean | null;
  /** False where nobody would expect it to: another channel, or before the consumer's time. */
  isExpected: boolean;
  /** What explains most first. */
  reasons: Reason[];
};

/**
 * @param log.isPresent whether the log holds the notification
 * @param log.pageRows how many are read at once
 * @param log.isRestored the positions say nothing of what the log holds
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

/** What is decided for good, until somebody does something about it. */
function settledReason(facts: Facts, isPresent: boolean): Reason | null {
  const { delivery, discardedMs, channels, beganAt, registeredAt } = facts;
  if (delivery?.state === 'dead') return { code: 'dead', ...failureOf(delivery) };
  if (delivery || facts.lease) return null;
  if (discardedMs !== null) {
    return { code: 'discarded', at: new Date(discardedMs), isInLog: isPresent };
  }
  if (!isPresent) return { code: 'gone' };
  const { isWanted, isSettled, isSkipped, wasRead, readSince } = facts;
  // What it read once, and reads no longer, may have been handed to it then.
  if (!isWanted && !(isSettled && wasRead === true)) return { code: 'filtered', channels };
  if (!isSettled) return null;
  const wasMoved = beganAt.getTime() !== registeredAt.getTime();
  if (isSkipped && !wasMoved) return { code: 'skipped', at: beganAt };
  if (wasRead === false && readSince) {
    return { code: 'before_channel', fromId: readSince.id, since: new Date(readSince.ms) };
  }
  return isSkipped ? { code: 'done_or_skipped', at: beganAt } : { code: 'done' };
}

/** What keeps the whole consumer from working. */
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
  if (delivery) return [deliveryReason(delivery, blocker)];
  if (lease) return [{ code: 'leased', earlier: lease.earlier, runner: lease.runner }];
  const behind: Reason[] = blocker ? [{ code: 'blocked', by: blocker }] : [];
  if (facts.isLate) return [...behind, { code: 'late' }];
  const runner = facts.runners.find(({ isLive }) => isLive);
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
  return { code: delivery.isDue ? 'due' : 'backoff', ...failureOf(delivery) };
}

function failureOf({
  attempts,
  nextAttemptMs,
  firstFailedMs,
  lastFailedMs,
  lastError,
}: FoundDelivery) {
  return { attempts, nextAttemptMs, firstFailedMs, lastFailedMs, lastError };
}

/** With these nobody would expect it to arrive. */
const NOT_MEANT: readonly Reason['code'][] = ['filtered', 'before_channel', 'skipped', 'gone'];

/** Longer than the span over which a daemon tells its rate, with the time until it tells. */
const STILL_MS = 30_000;
