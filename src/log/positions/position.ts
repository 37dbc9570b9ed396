/*
 * A position says how far a consumer got: a snapshot S plus an id H. Everything with an id up to H
 * that is visible in S is settled. An id alone would lose notifications: ids are assigned before
 * commit, so a lower id can become visible after a higher one.
 *
 *   S, H ── a page holds everything ──────────────────────────────────────▶ S = T, H = T's end
 *     │                                                                           ▲
 *     └── a page holds a part ──▶ open window: T, p ── read to its end ───────────┘
 *
 * A read (page-sql.ts) finds in one statement, with a snapshot T of its own, what is not settled:
 * late notifications, up to H, of transactions that had not ended when S was taken; and new ones,
 * above H. If a page does not hold all of it, a window stays open, read up to id p. Until it is
 * closed, only what is visible in T counts, so nothing moves under the reader. Nothing waits
 * either: an open transaction delays only its own notifications.
 *
 * A save (save.ts) matches the owner's epoch and the run of the server, else it changes no row. A
 * save that is lost means redelivery. A seek forward takes a new snapshot; a seek back lowers the
 * ids and keeps the snapshots, because new ones would skip late commits.
 *
 * test/log/position-race.database.test.ts races writers against a reader that stops and resumes at
 * random, and against readers with one fault each, which it must catch.
 */

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
