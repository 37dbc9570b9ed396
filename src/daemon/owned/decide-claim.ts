import type { LiveDaemon, OwnerState } from '../../log/positions/daemons.ts';

export type ClaimFacts = {
  state: OwnerState;
  /** Whether this process runs it: since this session, or still since an earlier, lost one. */
  running: 'no' | 'now' | 'since before';
  daemonId: string;
  /** once: takes consumers that no process runs now, and leaves the balancing to others. */
  mode: 'tail' | 'once';
  /** The daemon that should run it; see spread(). */
  target: string | undefined;
  daemons: readonly LiveDaemon[];
};

/**
 * What this process does about a consumer.
 *
 * pause      it is paused: no process may run it
 * keep       it runs here, and continues
 * hand over  it runs here, and moves to another process once its handlers have returned
 * wait       a handler of an earlier session still runs here, and no other daemon wants it
 * let go     the same, but another daemon wants it
 * stand by   another process runs it, or should
 * take       this process should run it
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
  // During a deployment that stops sharing it, the daemons that still share it come first.
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
