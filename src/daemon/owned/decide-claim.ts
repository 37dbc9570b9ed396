import type { LiveDaemon, OwnerState } from '../../log/positions/daemons.ts';

export type ClaimFacts = {
  state: OwnerState;
  /** Whether this process runs it: in this session, or still since one that was lost. */
  running: 'no' | 'now' | 'since before';
  daemonId: string;
  /** once: takes whatever nobody runs now, and leaves the spreading to others. */
  mode: 'tail' | 'once';
  /** The daemon that is to run it; see spread(). */
  target: string | undefined;
  daemons: readonly LiveDaemon[];
};

/**
 * What this process does about a consumer.
 *
 * pause      nobody is to run it
 * keep       it runs here, and goes on
 * hand over  it runs here, and is another's once its handlers have returned
 * wait       a handler of a session before still runs here, and nobody else wants the consumer
 * let go     the same, and somebody else wants it
 * stand by   it is another's
 * take       it is for this process
 */
export type Decision = 'pause' | 'keep' | 'hand over' | 'wait' | 'let go' | 'stand by' | 'take';

export function decideClaim(facts: ClaimFacts): Decision {
  const { state, running, daemonId, mode, target } = facts;
  if (state.isPaused) return 'pause';
  if (running === 'now') {
    const isMeantForOther = mode === 'tail' && target !== undefined && target !== daemonId;
    return isMeantForOther ? 'hand over' : 'keep';
  }
  if (running === 'since before') {
    return state.liveOwner === daemonId && isWantedElsewhere(facts) ? 'let go' : 'wait';
  }
  return mayTake(facts) ? 'take' : 'stand by';
}

function mayTake({ state, daemonId, mode, target, daemons }: ClaimFacts): boolean {
  const { consumerId, liveOwner } = state;
  if (liveOwner !== null && liveOwner !== daemonId) return false;
  // During a deployment that changes this, those that share it come first.
  if (daemons.some(({ sharedIds }) => sharedIds.includes(consumerId))) return false;
  return mode === 'once' || target === daemonId;
}

function isWantedElsewhere({ state, daemonId, daemons }: ClaimFacts): boolean {
  return daemons.some(
    (other) =>
      other.daemonId !== daemonId &&
      [...other.consumerIds, ...other.sharedIds].includes(state.consumerId),
  );
}
