/**
 * A snapshot in PostgreSQL's text form, `xmin:xmax:xip,…`. Never looked into, except for its xmin.
 */
export type Snapshot = string & { readonly brand: 'Snapshot' };

/** A transaction id (xid8), in decimal. */
export type Xid = string & { readonly brand: 'Xid' };

/**
 * How far a consumer got. Every notification with id ≤ doneId that is visible in doneSnapshot is
 * settled; and where a window is open, of what is visible in its snapshot everything with id ≤ its
 * id.
 */
export type Position = Readonly<{
  doneId: number;
  doneSnapshot: Snapshot;
  /**
   * Every xid that existed when doneSnapshot was taken is below it, so that it bounds the search
   * for late commits. Null: no such bound is known, which is slower and as right.
   */
  doneXid: Xid | null;
  window: Window | null;
}>;

/**
 * A page did not hold all that there was: what is visible in the snapshot is read to its end first.
 */
export type Window = Readonly<{
  snapshot: Snapshot;
  /** The highest id visible in the snapshot. */
  endId: number;
  /** Everything up to this id is settled. */
  id: number;
  /** What doneXid will be when the window closes; null until the window is saved. */
  xid: Xid | null;
}>;

/** The position once everything of the window is settled. */
export function closeWindow(position: Position, window: Window): Position {
  return {
    doneId: Math.max(position.doneId, window.endId),
    doneSnapshot: window.snapshot,
    doneXid: window.xid,
    window: null,
  };
}

/** The position with the bound that saving it has told: an xid taken after both its snapshots. */
export function learnXid(position: Position, saved: Position, xid: Xid): Position {
  const isKnown = (snapshot: Snapshot) =>
    snapshot === saved.doneSnapshot || snapshot === saved.window?.snapshot;
  const { doneSnapshot, doneXid, window } = position;
  return {
    ...position,
    doneXid: doneXid === null && isKnown(doneSnapshot) ? xid : doneXid,
    window: window?.xid === null && isKnown(window.snapshot) ? { ...window, xid } : window,
  };
}

/** The highest id that is settled, for people: what remains lies above it, but for late commits. */
export function reachedId(position: Position): number {
  return Math.max(position.doneId, position.window?.id ?? 0);
}

/** Every transaction below it has ended in the snapshot. */
export function snapshotXmin(snapshot: Snapshot): bigint {
  return BigInt(snapshot.slice(0, snapshot.indexOf(':')));
}
