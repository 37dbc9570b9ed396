import type { LiveDaemon, OwnerState } from '../../log/positions/daemons.ts';

/**
 * Assigns consumers to the live daemons so that each runs about the same number. An owned consumer
 * stays where it is unless the loads differ by two. Every daemon computes the same answer from the
 * same state of the database, so they need not talk to each other. Paused consumers do not count.
 * @returns the daemon for each consumer that at least one daemon wants
 */
export function spread(
  states: readonly OwnerState[],
  daemons: readonly LiveDaemon[],
): Map<string, string> {
  const consumers = states.filter(({ isPaused }) => !isPaused);
  const targets = new Map<string, string>();
  const loads = new Map(daemons.map(({ daemonId }) => [daemonId, 0]));
  const loadOf = (daemonId: string) => loads.get(daemonId) ?? 0;
  const assign = (consumerId: string, daemonId: string) => {
    const before = targets.get(consumerId);
    if (before !== undefined) loads.set(before, loadOf(before) - 1);
    targets.set(consumerId, daemonId);
    loads.set(daemonId, loadOf(daemonId) + 1);
  };
  const idlest = (consumerId: string) =>
    daemons
      .filter(({ consumerIds }) => consumerIds.includes(consumerId))
      .map(({ daemonId }) => daemonId)
      .reduce<string | undefined>(
        (best, id) => (best === undefined || loadOf(id) < loadOf(best) ? id : best),
        undefined,
      );

  for (const { consumerId, liveOwner } of consumers) {
    if (liveOwner !== null) assign(consumerId, liveOwner);
  }
  for (const { consumerId, liveOwner } of consumers) {
    const daemonId = liveOwner === null ? idlest(consumerId) : undefined;
    if (daemonId !== undefined) assign(consumerId, daemonId);
  }
  // Each move makes the loads more even, so this ends.
  for (let hasMoved = true; hasMoved; ) {
    hasMoved = false;
    for (const [consumerId, daemonId] of targets) {
      const other = idlest(consumerId);
      if (other === undefined || loadOf(daemonId) < loadOf(other) + 2) continue;
      assign(consumerId, other);
      hasMoved = true;
    }
  }
  return targets;
}
