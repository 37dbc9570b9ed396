import assert from 'node:assert/strict';
import type { ClientBase } from 'pg';
import { statementName } from '../database/names.ts';
import { AS_TEXT } from '../database/types.ts';
import { channelTest } from './channels.ts';
import { SHOWN_TEXT_BYTES_MAX } from './content-sql.ts';
import { fetchContent, fillLong, isLeftOut } from './long-contents.ts';
import { type LogRow, safeId } from './notification.ts';
import { pageSql } from './page-sql.ts';
import { closeWindow, type Position, type Snapshot, type Window } from './positions/position.ts';

export type PageRequest = {
  position: Position;
  channels: readonly string[];
  /** Limits of a page. A row larger than bytes comes alone. */
  limit: { rows: number; bytes: number };
  /** Rows up to this id were written by an earlier cluster and are visible to all. */
  rebasedId: number;
  /**
   * Contents with more bytes than this as text are left out; see Page.leftOut. Default: no limit.
   */
  contentMax?: number;
};

/** The rows of one read, in order of id, and the positions before and after them. */
export type Page = Readonly<{
  rows: readonly LogRow[];
  /** The length of their content, in characters. */
  bytes: number;
  /** The position before the page. */
  before: Position;
  /** The position once the whole page is settled. */
  after: Position;
  /** The window that the page belongs to; it may close with the page. */
  window: Window;
  /** True if the window has more rows after the page. */
  hasMore: boolean;
  /**
   * Channels of rows whose contents were too long to include: their consumers read on their own.
   */
  leftOut: ReadonlySet<string>;
}>;

/** Reads a page. The daemon is given a function of this type. */
export type ReadPage = (client: ClientBase, request: PageRequest) => Promise<Page>;

/** Returns a function that reads pages of the log in a schema. */
export function pageReader(schema: string, text = pageSql(schema)): ReadPage {
  const readRows = rowReader(text);
  return async (client, request) => {
    const { channels, limit, contentMax } = request;
    const isRead = channelTest(channels);
    const isWanted = (row: LogRow) => isRead(row[3]);
    // At worst, the server takes some seconds to write this many stored bytes as text.
    const bytes = Math.min(limit.bytes, STORED_BYTES_MAX);
    const raw = await readRows(client, { ...request, limit: { ...limit, bytes } }, channels);
    const leftOut = new Set<string>();
    const fetch = async (row: RawRow) => {
      if (!isWanted(row as unknown as LogRow)) return true;
      const isThere = await fetchContent(client, schema, row, contentMax);
      if (contentMax !== undefined && isLeftOut(row)) leftOut.add(row[3] as string);
      return isThere;
    };
    const { count, gone } = await fillLong(raw.slice(1), fetch, limit.bytes);
    const isThere = (row: LogRow) => isWanted(row) && !gone.has(row as unknown as RawRow);
    return { ...toPage(raw, request, isThere, count), leftOut };
  };
}

/** Decides which rows of the log are wanted, in SQL and in JavaScript. */
export type RowCondition = {
  /** A condition on the columns of a row and $7. */
  sql: string;
  /** The value of $7. */
  value: unknown;
  has(row: LogRow): boolean;
};

/** The same for rows of any channel that match a condition. */
export function pageReaderWhere(
  schema: string,
  condition: RowCondition,
): (client: ClientBase, request: Omit<PageRequest, 'channels'>) => Promise<Page> {
  const readRows = rowReader(pageSql(schema, condition.sql, SHOWN_TEXT_BYTES_MAX));
  return async (client, request) =>
    toPage(await readRows(client, request, condition.value), request, condition.has);
}

type Reading = Omit<PageRequest, 'channels'>;

function rowReader(text: string) {
  const name = statementName('page', text);
  return async (client: ClientBase, request: Reading, wanted: unknown): Promise<RawRow[]> => {
    const values = pageValues(request, wanted);
    const query = { name, text, values, rowMode: 'array' as const, types: AS_TEXT };
    return (await client.query<RawRow>(query)).rows;
  };
}

/** The position once everything in the page up to an id is settled. */
export function positionAt(page: Page, id: number): Position {
  const last = page.rows.at(-1);
  if (last && id >= safeId(last[0]) && !page.hasMore) return page.after;
  return { ...page.before, window: { ...page.window, id } };
}

function pageValues({ position, limit, rebasedId }: Reading, wanted: unknown): unknown[] {
  const { doneId, doneSnapshot, doneXid, window } = position;
  return [
    doneSnapshot,
    doneId,
    doneXid,
    window?.snapshot ?? null,
    window?.endId ?? null,
    window?.id ?? 0,
    wanted,
    limit.rows,
    limit.bytes,
    rebasedId,
  ];
}

/** @param count how many of the rows belong to the page */
function toPage(
  raw: RawRow[],
  { position, limit }: Reading,
  isWanted: (row: LogRow) => boolean,
  count = raw.length - 1,
): Page {
  const [meta, ...all] = raw as [RawRow, ...RawRow[]];
  const found = all.slice(0, count);
  const [seen, snapshot, windowEnd] = [Number(meta[0]), meta[12] as Snapshot, meta[13]];
  const ids = found.map((row) => safeId(row[0] as string));
  assert(
    ids.every((id, index) => id >= (ids[index - 1] ?? 0)),
    'a page is in order of id',
  );
  const hasMore = seen === limit.rows || seen > found.length;
  const lastId = ids.at(-1) ?? position.window?.id ?? 0;
  const endId = all.length > 0 ? safeId(all.at(-1)?.[0] as string) : lastId;
  const window: Window = {
    snapshot,
    endId: windowEnd === null ? Math.max(endId, position.doneId) : safeId(windowEnd as string),
    id: lastId,
    xid: position.window?.xid ?? null,
  };
  const isUnchanged = found.length === 0 && position.window === null;
  const rows = (found as unknown as LogRow[]).filter(isWanted);
  return {
    rows,
    bytes: contentLength(rows),
    before: position,
    after: isUnchanged
      ? position
      : hasMore
        ? { ...position, window }
        : closeWindow(position, window),
    window,
    hasMore,
    leftOut: new Set(),
  };
}

/** The length of the rows' content, in characters. */
export function contentLength(rows: readonly LogRow[]): number {
  let length = 0;
  for (const [, , , , , payload, , , oldRow, newRow] of rows) {
    length += (payload?.length ?? 0) + (oldRow?.length ?? 0) + (newRow?.length ?? 0);
  }
  return length;
}

const STORED_BYTES_MAX = 1024 * 1024;

/** A LogRow, followed by snapshot and window_end, which only the first row has. */
type RawRow = (string | null)[];
