import type { PoolClient } from 'pg';
import Cursor from 'pg-cursor';
import { lossOf } from '../database/passing.ts';
import type { Clients } from '../database/pool.ts';
import { AS_TEXT } from '../database/types.ts';
import { channelTest } from './channels.ts';
import { fetchContent, fillLong, isCut } from './long-contents.ts';
import { type LogRow, safeId } from './notification.ts';
import { contentLength, type Page } from './page.ts';
import { CONTENT_BYTES_MAX, contentSql, streamSql } from './page-sql.ts';
import { closeWindow, type Position, type Window } from './positions/position.ts';

export type StreamOptions = {
  pool: Clients;
  schema: string;
  channels: readonly string[];
  limit: { rows: number; bytes: number };
  rebasedId: number;
};

/** True if an open window has only new rows left, and enough of them to stream. */
export function isStreamable({ window, doneId }: Position, rows: number): boolean {
  return window !== null && window.id >= doneId && window.endId - window.id > 2 * rows;
}

/**
 * Streams the rest of an open window in pages, through a cursor: two to three times as fast as
 * querying each page, because the statement starts only once. The cursor stays open a few seconds
 * at most: its snapshot holds back the cluster's horizon, and with it vacuum in every database.
 * @param position one that isStreamable
 */
export async function* streamPages(
  options: StreamOptions,
  position: Position,
): AsyncGenerator<Page, void> {
  const window = position.window as Window;
  const cursor = new StreamCursor(options, window);
  const complete = new WeakSet<StreamRow>();
  try {
    let reading = cursor.read(window.id);
    let before = position;
    for (let hasMore = true; hasMore; ) {
      const rows = await reading;
      hasMore = rows.length === options.limit.rows;
      const lastId = idOf(rows.at(-1)) ?? window.id;
      if (hasMore) {
        // The next chunk is read while this one is processed; awaiting it reports its failure.
        reading = cursor.read(lastId);
        reading.catch(() => {});
      }
      for (const part of partsOf(rows, options.limit.bytes)) {
        let rest = part;
        do {
          const { taken, gone } = await fillPart(options, rest, complete);
          const isLast = !hasMore && taken.at(-1) === rows.at(-1);
          const page = toPage(options, taken, { before, window, isLast, gone });
          rest = rest.slice(taken.length);
          before = page.after;
          yield page;
        } while (rest.length > 0);
      }
    }
  } finally {
    await cursor.close();
  }
}

/** Rows of the window, in order of id. Opens and closes the database's cursor as needed. */
class StreamCursor {
  readonly #options: StreamOptions;
  readonly #window: Window;
  #open: OpenCursor | undefined;
  #reading: Promise<StreamRow[]> = Promise.resolve([]);
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StreamOptions, window: Window) {
    this.#options = options;
    this.#window = window;
  }

  /**
   * Reads the next rows.
   * @param afterId the last id of the previous rows, or the id to begin after
   */
  read(afterId: number): Promise<StreamRow[]> {
    this.#reading = this.#reading.then(() => this.#readOn(afterId));
    return this.#reading;
  }

  async close(): Promise<void> {
    await this.#reading.catch(() => {});
    await this.#closeCursor();
  }

  async #readOn(afterId: number): Promise<StreamRow[]> {
    this.#open ??= await this.#openCursor(afterId);
    if (!this.#open) return this.#readOnce(afterId);
    const { client, cursor, lost } = this.#open;
    const reading = this.#options.pool
      .guard(client, cursor.read(this.#options.limit.rows))
      .catch((thrown: unknown) => {
        throw lossOf(client, thrown);
      });
    // A cursor on a lost connection never answers.
    const rows = await Promise.race([reading, lost.promise]);
    const hasEnded = rows.length < this.#options.limit.rows;
    if (hasEnded || performance.now() - this.#open.openedAt > OPEN_MS_MAX)
      await this.#closeCursor();
    return rows;
  }

  /** Reads without a cursor: other streams use all of them, or a pooler does not allow long use. */
  async #readOnce(afterId: number): Promise<StreamRow[]> {
    const { pool, schema, limit } = this.#options;
    const { rows } = await pool.withClient((client) =>
      client.query<StreamRow>({
        text: `${streamSql(schema)} limit ${limit.rows}`,
        values: this.#values(afterId),
        rowMode: 'array',
        types: AS_TEXT,
      }),
    );
    return rows;
  }

  async #openCursor(afterId: number): Promise<OpenCursor | undefined> {
    const { pool, schema } = this.#options;
    const client = await pool.keep();
    if (!client) return undefined;
    const values = this.#values(afterId);
    const config = { rowMode: 'array' as const, types: AS_TEXT };
    const cursor = client.query(new Cursor<StreamRow>(streamSql(schema), values, config));
    // A timer closes it too: a slow handler may not ask for the next rows for a long time.
    this.#timer = setTimeout(() => {
      this.#reading = this.#reading.then((rows) => this.#closeCursor().then(() => rows));
      this.#reading.catch(() => {});
    }, OPEN_MS_MAX);
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    const onEnd = () => reject(lossOf(client, new Error('the connection has ended')));
    const lost = { promise, reject: onEnd };
    client.once('end', lost.reject);
    return { client, cursor, lost, openedAt: performance.now() };
  }

  #values(afterId: number): unknown[] {
    const { channels, rebasedId } = this.#options;
    return [afterId, this.#window.endId, channels, this.#window.snapshot, rebasedId];
  }

  async #closeCursor(): Promise<void> {
    clearTimeout(this.#timer);
    const open = this.#open;
    this.#open = undefined;
    if (!open) return;
    const { pool } = this.#options;
    try {
      // On a lost or silent connection, close() would wait for an answer forever.
      await Promise.race([pool.guard(open.client, open.cursor.close()), open.lost.promise]);
      open.client.off('end', open.lost.reject);
      pool.unkeep(open.client, 'sound');
    } catch {
      // The next read reports the error of the broken connection; this one is ignored.
      pool.unkeep(open.client, 'broken');
    }
  }
}

/** Splits rows into parts of at most this many bytes; a larger row is a part of its own. */
function partsOf(rows: StreamRow[], bytesMax: number): StreamRow[][] {
  const parts: StreamRow[][] = [[]];
  let bytes = 0;
  for (const row of rows) {
    const size = Number(row[12]);
    const part = parts.at(-1) as StreamRow[];
    if (part.length > 0 && bytes + size > bytesMax) {
      parts.push([row]);
      bytes = size;
    } else {
      part.push(row);
      bytes += size;
    }
  }
  return parts;
}

function toPage(
  options: StreamOptions,
  part: StreamRow[],
  place: { before: Position; window: Window; isLast: boolean; gone: ReadonlySet<StreamRow> },
): Page {
  const { before, window, isLast, gone } = place;
  const isRead = channelTest(options.channels);
  const isThere = (row: StreamRow) => isRead(row[3]) && !gone.has(row);
  const rows = part.filter(isThere) as unknown as LogRow[];
  const reached: Window = { ...window, id: idOf(part.at(-1)) ?? window.id };
  return {
    rows,
    bytes: contentLength(rows),
    before,
    after: isLast ? closeWindow(before, window) : { ...before, window: reached },
    window: reached,
    hasMore: !isLast,
    leftOut: new Set(),
  };
}

/**
 * Completes the contents of a part, or of its first rows if they are long. Rows removed from the
 * log in the meantime are gone, and the consumer gets a gap.
 * @param complete rows that are already complete
 */
async function fillPart(
  { pool, schema, channels, limit }: StreamOptions,
  part: StreamRow[],
  complete: WeakSet<StreamRow>,
): Promise<{ taken: StreamRow[]; gone: ReadonlySet<StreamRow> }> {
  const isRead = channelTest(channels);
  const isOpen = (row: StreamRow) => isRead(row[3]) && !complete.has(row);
  const large = part.filter((row) => isOpen(row) && Number(row[12]) > CONTENT_BYTES_MAX);
  const isLong = part.some((row) => isOpen(row) && isCut(row));
  if (large.length === 0 && !isLong) return { taken: part, gone: NONE };
  const { count, gone } = await pool.withClient(async (client) => {
    const lost = await fetchTogether(client, schema, large);
    for (const row of large) if (!isCut(row)) complete.add(row);
    const fetch = async (row: StreamRow) => {
      if (!isOpen(row)) return true;
      complete.add(row);
      return fetchContent(client, schema, row);
    };
    const filled = await fillLong(part, fetch, limit.bytes);
    return { ...filled, gone: lost.union(filled.gone) };
  });
  return { taken: part.slice(0, count), gone };
}

/** @returns the rows that the log no longer has */
async function fetchTogether(
  client: PoolClient,
  schema: string,
  rows: StreamRow[],
): Promise<Set<StreamRow>> {
  if (rows.length === 0) return new Set();
  const { rows: contents } = await client.query<(string | null)[]>({
    text: contentSql(schema, TOGETHER_BYTES_MAX),
    values: [rows.map((row) => row[0]), rows.map((row) => row[1])],
    rowMode: 'array',
    types: AS_TEXT,
  });
  const byId = new Map(contents.map((content) => [content[0], content]));
  for (const row of rows) {
    const [, payload = null, oldRow = null, newRow = null] = byId.get(row[0]) ?? [];
    Object.assign(row, { 5: payload, 8: oldRow, 9: newRow });
  }
  return new Set(rows.filter((row) => !byId.has(row[0])));
}

function idOf(row: StreamRow | undefined): number | undefined {
  return row && safeId(row[0]);
}

type OpenCursor = {
  client: PoolClient;
  cursor: Cursor<StreamRow>;
  /** Rejects when the connection ends. */
  lost: { promise: Promise<never>; reject: () => void };
  openedAt: number;
};

const NONE: ReadonlySet<StreamRow> = new Set();
/** Contents up to this size are fetched together in one statement. */
const TOGETHER_BYTES_MAX = 1024 * 1024;

/** A LogRow, followed by its size in bytes. */
type StreamRow = [...LogRow, bytes: string];

/** How long a cursor stays open. */
const OPEN_MS_MAX = 3000;
