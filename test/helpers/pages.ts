import type { Task } from '../../src/daemon/calls/task.ts';
import type { LogRow } from '../../src/log/notification.ts';
import type { Page } from '../../src/log/page.ts';
import { closeWindow, type Position, type Snapshot } from '../../src/log/positions/position.ts';

/** A position at which everything up to an id is settled. */
export function makePosition(doneId: number, snapshot = `${doneId}:${doneId}:`): Position {
  return { doneId, doneSnapshot: snapshot as Snapshot, doneXid: null, window: null };
}

/** A page of these ids, as the log would give it; its rows hold nothing but their ids. */
export function makePage(
  ids: readonly number[],
  { before = makePosition(0), hasMore = false, bytes = 0, leftOut = [] as string[] } = {},
): Page {
  const lastId = ids.at(-1) ?? before.doneId;
  const snapshot = `${lastId}:${lastId}:` as Snapshot;
  const window = { snapshot, endId: hasMore ? lastId + 100 : lastId, id: lastId, xid: null };
  return {
    rows: ids.map((id) => [String(id)] as unknown as LogRow),
    bytes,
    before,
    after: hasMore ? { ...before, window } : closeWindow(before, window),
    window,
    hasMore,
    leftOut: new Set(leftOut),
  };
}

/** A task that was read from the log, unless more is said of it. */
export function makeTask(id: number, key: string | null = null, rest: Partial<Task> = {}): Task {
  const row = [String(id)] as unknown as LogRow;
  return {
    row,
    id,
    key,
    isReplay: false,
    attempt: 1,
    isFiled: false,
    source: null,
    index: 0,
    ...rest,
  };
}
