import type { LiveDaemon, OwnerState } from '../../log/positions/daemons.ts';

/**
 * Who is to run which consumer, so that each of the daemons that are alive runs about as many as
 * the others. What is owned stays where it is unless that is uneven by two. Every daemon comes to
 * the same answer from the same state of the database, so they need not talk to each other. What is
 * paused costs nothing: it counts for nobody.
 * @returns the daemon for each consumer that some daemon wants
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
  // Each move makes it more even, so that this ends.
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
