import type { Handling, Stored } from './history.ts';

type Line = Pick<Handling, 'at' | 'token'>;

/** When a notification was first called, last called, and over: places in the history. */
type Times = Map<string, { begun: number; last: number; over: number }>;

/** Notifications that were called before the previous one of their key was over. */
export function findInversions(
  stored: readonly Stored[],
  handlings: readonly Line[],
  dead: readonly string[],
): string[] {
  const times = timesOf(handlings, dead);
  return [...byKey(stored, (token) => times.has(token)).values()].flatMap((rows) => {
    const inOrder = rows.toSorted((a, b) => a.sequence - b.sequence);
    return inOrder
      .filter(({ token }, index) => {
        const before = times.get(inOrder[index - 1]?.token ?? '');
        return before !== undefined && (times.get(token)?.begun ?? 0) < before.over;
      })
      .map(({ token }) => token);
  });
}

/**
 * Notifications that were called while another call for their key was running. Calls that never
 * ended are ignored: their process had died.
 */
export function findOverlaps(stored: readonly Stored[], handlings: readonly Handling[]): string[] {
  const calls = Map.groupBy(callsOf(handlings), ({ token }) => token);
  const keys = byKey(stored, (token) => calls.has(token));
  return [...keys.values()].flatMap((rows) => {
    const ofKey = rows.flatMap(({ token }) => calls.get(token) ?? []);
    let ended = -1;
    return ofKey
      .toSorted((a, b) => a.begun - b.begun)
      .filter(({ begun, over }) => {
        const isOverlapping = begun < ended;
        ended = Math.max(ended, over);
        return isOverlapping;
      })
      .map(({ token }) => token);
  });
}

/**
 * A notification is over with its first call that returned or refused it. Any other dead letter is
 * over with its last call that began before it was revived: later calls block nothing. What was
 * over, and came again because its process had died, stays over even if it then becomes a dead
 * letter.
 */
function timesOf(handlings: readonly Line[], dead: readonly string[]): Times {
  const times: Times = new Map();
  for (const [place, { at, token }] of handlings.entries()) {
    const known = times.get(token);
    if (!known) {
      times.set(token, { begun: place, last: place, over: Number.POSITIVE_INFINITY });
      continue;
    }
    if (at === 'begun') known.last = place;
    const isOver = known.over < Number.POSITIVE_INFINITY;
    if (!isOver && (at === 'done' || at === 'refused')) known.over = place;
    if (!isOver && at === 'revived') known.over = known.last;
  }
  const revived = new Set(handlings.filter(({ at }) => at === 'revived').map((line) => line.token));
  for (const token of dead.filter((token) => !revived.has(token))) {
    const known = times.get(token);
    if (known && known.over === Number.POSITIVE_INFINITY) known.over = known.last;
  }
  return times;
}

/** The calls that ended, each in the process that began it. */
function callsOf(handlings: readonly Handling[]) {
  const running = new Map<string, number>();
  const calls: { token: string; begun: number; over: number }[] = [];
  for (const [place, { at, token, pid }] of handlings.entries()) {
    const call = `${pid} ${token}`;
    const begun = running.get(call);
    if (at === 'begun') running.set(call, place);
    else if (begun !== undefined) {
      calls.push({ token, begun, over: place });
      running.delete(call);
    }
  }
  return calls;
}

function byKey(stored: readonly Stored[], isMeant: (token: string) => boolean) {
  return Map.groupBy(
    stored.filter(({ key, token }) => key !== null && isMeant(token)),
    ({ key }) => key,
  );
}
