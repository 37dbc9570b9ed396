/** A snapshot in PostgreSQL's text form, `xmin:xmax:xip,…`. Opaque, except for its xmin. */
export type Snapshot = string & { readonly brand: 'Snapshot' };

/** A transaction id (xid8), in decimal. */
export type Xid = string & { readonly brand: 'Xid' };

/**
 * How far a consumer got. Every notification with id ≤ doneId that is visible in doneSnapshot is
 * settled. If a window is open, so is every notification with id ≤ the window's id that is visible
 * in the window's snapshot.
 */
export type Position = Readonly<{
  doneId: number;
  doneSnapshot: Snapshot;
  /**
   * An upper bound for the search for late commits: every xid that existed when doneSnapshot was
   * taken is below it. Null if no bound is known, which is slower but just as correct.
   */
  doneXid: Xid | null;
  window: Window | null;
}>;

/**
 * Open if a page did not contain everything: the rest that is visible in the snapshot is read
 * first.
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

/** The position once the whole window is settled. */
export function closeWindow(position: Position, window: Window): Position {
  return {
    doneId: Math.max(position.doneId, window.endId),
    doneSnapshot: window.snapshot,
    doneXid: window.xid,
    window: null,
  };
}

/**
 * The position with the bound that saving it returned: an xid assigned after both its snapshots.
 */
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

/** The highest settled id, for display: except for late commits, everything left is above it. */
export function reachedId(position: Position): number {
  return Math.max(position.doneId, position.window?.id ?? 0);
}

/** The snapshot's xmin: every transaction below it had ended when the snapshot was taken. */
export function snapshotXmin(snapshot: Snapshot): bigint {
  return BigInt(snapshot.slice(0, snapshot.indexOf(':')));
}
