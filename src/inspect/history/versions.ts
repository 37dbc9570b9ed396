import { PgwatchError } from '../../errors.ts';
import { isSameJson, parseJson } from '../../json.ts';
import { isUnreadable, type LogRow, unreadableText } from '../../log/notification.ts';

export type RowImage = Record<string, unknown>;

export type VersionAction = 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'SNAPSHOT';

/** One notification about a row, and the row before and after it. */
export type RowVersion = {
  notificationId: number;
  action: VersionAction;
  createdAt: Date;
  xid: string;
  userId: string | null;
  sessionId: string | null;
  schema: string;
  table: string;
  /** Null if the row did not exist, or if the log does not say what it was. */
  before: RowImage | null;
  /** Null if the row does not exist any more. */
  after: RowImage | null;
  /** The columns in which the two differ. */
  changed: string[];
  /** The row was not as the version before left it: it was changed without a notification. */
  isAfterGap: boolean;
  /** Only columns in its changes are known: the log does not reach back to the whole row. */
  isPartial: boolean;
  /** The notification as it is in the log. */
  source: LogRow;
};

/**
 * Builds the versions of a row, in the order of the changes. That is the order of ids, because a
 * transaction that changes a row waits for the one that changed it before.
 * @param captureKey columns that a notification always holds, changed or not, besides those of the
 *   primary key
 */
export async function* versionsOf(
  rows: AsyncIterable<LogRow> | Iterable<LogRow>,
  captureKey: readonly string[] = [],
): AsyncGenerator<RowVersion> {
  /** Undefined: not known; null: the row does not exist. */
  let state: RowImage | null | undefined;
  let previous: LogRow | undefined;
  let isPartial = true;
  for await (const source of rows) {
    const action = source[6] as VersionAction;
    const isRepeated = previous !== undefined && isSameChange(previous, source);
    previous = source;
    // A truncation does not affect a row that does not exist; and a table may be captured twice.
    if (isRepeated || (action === 'TRUNCATE' && state === null)) continue;
    const version = versionOf(source, action, { state, isPartial }, captureKey);
    yield version;
    isPartial = version.isPartial;
    state = version.after;
  }
}

function versionOf(
  source: LogRow,
  action: VersionAction,
  { state, isPartial }: { state: RowImage | null | undefined; isPartial: boolean },
  captureKey: readonly string[],
): RowVersion {
  const [id, xid, createdAt, , , , , relation, oldText, newText, metadata] = source;
  if (isUnreadable(source)) throw new PgwatchError('history_unknown', unreadableText(id));
  const [schema = '', table = '', ...primaryKey] = parseJson(relation ?? '[]') as string[];
  const who = parseJson(metadata ?? '{}') as { user_id?: string; session_id?: string };
  const [oldRow, newRow] = [oldText, newText].map((text) =>
    text === null ? null : (parseJson(text) as RowImage),
  ) as [RowImage | null, RowImage | null];
  const keys = [...primaryKey, ...captureKey];
  const { before, after, isWhole } = rebuilt({ action, oldRow, newRow, state, keys });
  return {
    notificationId: Number(id),
    action,
    createdAt: new Date(Math.floor(Number(createdAt) / 1000)),
    xid,
    userId: who.user_id ?? null,
    sessionId: who.session_id ?? null,
    schema,
    table,
    before,
    after,
    changed: before && after ? differing(before, after) : [],
    isAfterGap: hasGap(action, state, oldRow ?? newRow),
    isPartial: isPartial && !isWhole,
    source,
  };
}

type Change = {
  action: VersionAction;
  oldRow: RowImage | null;
  newRow: RowImage | null;
  state: RowImage | null | undefined;
  keys: readonly string[];
};

/**
 * Fills in what the notification leaves out, as with the payload "changed"; isWhole if it leaves
 * out nothing.
 */
function rebuilt({ action, oldRow, newRow, state, keys }: Change) {
  const known = state ?? null;
  if (action === 'INSERT') return { before: null, after: newRow, isWhole: true };
  if (action === 'TRUNCATE') return { before: known, after: null, isWhole: true };
  if (action === 'SNAPSHOT') return { before: known, after: newRow, isWhole: true };
  if (action === 'DELETE') {
    const isKeyOnly = Object.keys(oldRow ?? {}).every((column) => keys.includes(column));
    const before = isKeyOnly ? { ...known, ...oldRow } : oldRow;
    return { before, after: null, isWhole: !isKeyOnly };
  }
  const changed = differing(oldRow ?? {}, newRow ?? {});
  const isWhole = Object.keys(newRow ?? {}).some(
    (column) => !keys.includes(column) && !changed.includes(column),
  );
  if (isWhole) return { before: oldRow, after: newRow, isWhole };
  return { before: { ...known, ...oldRow }, after: { ...known, ...newRow }, isWhole };
}

function hasGap(
  action: VersionAction,
  state: RowImage | null | undefined,
  found: RowImage | null,
): boolean {
  if (state === undefined || action === 'TRUNCATE') return false;
  if (action === 'INSERT' || state === null) return (action === 'INSERT') !== (state === null);
  // A column that was added or dropped is not a change of the row.
  return Object.entries(found ?? {}).some(
    ([column, value]) => column in state && !isSameJson(state[column], value),
  );
}

function differing(before: RowImage, after: RowImage): string[] {
  return Object.keys(after).filter(
    (column) => !(column in before) || !isSameJson(before[column], after[column]),
  );
}

/** True for one change that two captures of the table have recorded, each on its channel. */
function isSameChange(a: LogRow, b: LogRow): boolean {
  const isSame = [1, 6, 8, 9].every((column) => a[column] === b[column]);
  return isSame && a[3] !== b[3] && a[6] !== 'SNAPSHOT';
}
