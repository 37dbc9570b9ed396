import { createHash } from 'node:crypto';
import { PgwatchError } from '../errors.ts';
import { isSameJson, parseJson } from '../json.ts';
import type { Change } from './change.ts';
import { UNREADABLE } from './content-sql.ts';
import { type Gap, gapOf } from './gap.ts';

export type { Change };

/** The columns of a log row, as text, in the order of COLUMNS in page-sql.ts. */
export type LogRow = [
  id: string,
  xid: string,
  /** Microseconds since 1970. */
  createdAt: string,
  channel: string,
  key: string | null,
  payload: string | null,
  action: string | null,
  relation: string | null,
  oldRow: string | null,
  newRow: string | null,
  metadata: string | null,
  eventId: string | null,
];

/** One notification, as handlers and loops receive it. */
export interface Notification<Payload = unknown> {
  readonly id: number;
  readonly channel: string;
  /** What it is about; notifications with the same key keep their order. Null: it has no key. */
  readonly key: string | null;
  /**
   * The published value; for a captured change, the object that the view pgwatch.notification
   * shows.
   */
  readonly payload: Payload;
  /** The captured row change; null for an explicit notification. */
  readonly change: Change | null;
  readonly createdAt: Date;
  /** The same at every delivery and, unlike the id, unique forever: use it to deduplicate. */
  readonly eventId: string;
  /**
   * True if it was committed before this process took the consumer over: it was missed, or failed.
   */
  readonly isReplay: boolean;
  /** Which call of the handler this is, counted from 1; the same as in the context. */
  readonly attempt: number;
}

/**
 * A notification made of a row of the log. Payload, change and event id are computed when they are
 * first needed.
 */
export class LogNotification<Payload = unknown> implements Notification<Payload> {
  readonly id: number;
  readonly channel: string;
  readonly key: string | null;
  readonly isReplay: boolean;
  readonly attempt: number;
  readonly #row: LogRow;
  #payload: { value: unknown } | undefined;
  #change: { value: Change | null } | undefined;

  constructor(
    row: LogRow,
    delivery: { isReplay: boolean; attempt: number; payload?: { value: unknown } | undefined },
  ) {
    this.id = safeId(row[0]);
    this.channel = row[6] === 'SNAPSHOT' ? captureChannel(row) : row[3];
    this.key = row[4];
    this.isReplay = delivery.isReplay;
    this.attempt = delivery.attempt;
    this.#payload = delivery.payload;
    this.#row = row;
  }

  get createdAt(): Date {
    return new Date(createdAt(this.#row));
  }

  get eventId(): string {
    return this.#row[11] ?? derivedEventId(this.#row);
  }

  /**
   * Null, or the reason why payload and change are null: the stored content, as text, is longer
   * than a program can hold. Handlers never get such a notification.
   */
  get unreadable(): string | null {
    return isUnreadable(this.#row) ? unreadableText(this.id) : null;
  }

  get payload(): Payload {
    this.#payload ??= {
      value: isUnreadable(this.#row)
        ? null
        : this.change
          ? this.#changePayload()
          : parseJson(this.#row[5] ?? 'null'),
    };
    return this.#payload.value as Payload;
  }

  get change(): Change | null {
    this.#change ??= { value: this.#hasChange ? changeOf(this.#row) : null };
    return this.#change.value;
  }

  /** True for a marker of notifications that were removed. Handlers never get it. */
  get isGap(): boolean {
    return this.#row[6] === 'GAP';
  }

  /** What the marker says; null for any other notification. */
  get gap(): Gap | null {
    return this.isGap ? gapOf(this.#row[5]) : null;
  }

  /** The same notification with the payload that a schema returned. */
  withPayload(value: unknown): LogNotification<Payload> {
    const { isReplay, attempt } = this;
    return new LogNotification<Payload>(this.#row, { isReplay, attempt, payload: { value } });
  }

  toJSON(): Record<string, unknown> {
    const { id, eventId, channel, key, payload, unreadable, createdAt, isReplay, attempt } = this;
    const content = unreadable === null ? { payload } : { payload, unreadable };
    return { id, eventId, channel, key, ...content, createdAt, isReplay, attempt };
  }

  get #hasChange(): boolean {
    return this.#row[6] !== null && !this.isGap && !isUnreadable(this.#row);
  }

  #changePayload(): Record<string, unknown> {
    const change = this.change as Change & { old?: unknown; new?: unknown; changed?: string[] };
    const metadata = parseJson(this.#row[10] ?? '{}') as Record<string, unknown>;
    return {
      schema: change.schema,
      table: change.table,
      action: change.action,
      id: change.id,
      old_data: change.old ?? null,
      new_data: change.new ?? null,
      changed: change.changed ?? null,
      metadata: {
        user_id: metadata.user_id ?? null,
        session_id: metadata.session_id ?? null,
        transaction_id: this.#row[1],
      },
    };
  }
}

/**
 * A notification id as a number.
 * @throws PgwatchError input_invalid if a JavaScript number cannot hold it exactly: retrying does
 *   not help
 */
export function safeId(text: string): number {
  const id = Number(text);
  if (Number.isSafeInteger(id)) return id;
  throw new PgwatchError(
    'input_invalid',
    `Notification ${text} has an id beyond 2^53, which pgwatch cannot tell from its neighbours: ` +
      'the sequence of notification_log was set too far ahead. Delete such rows from the log ' +
      'and run "pgwatch migrate rebase", which sets the sequence back.',
  );
}

/** True if the content of a row, or its key, could not be read. */
export function isUnreadable(row: LogRow): boolean {
  return (
    row[5] === UNREADABLE ||
    row[8] === UNREADABLE ||
    row[9] === UNREADABLE ||
    row[10] === UNREADABLE
  );
}

/** Says why it cannot be read, and how to look at it anyway. */
export function unreadableText(id: number | string): string {
  return (
    `Notification ${id} is too large to be read: its content as text, or its key, is longer than ` +
    'a program can hold. Numbers like 1e100000 and control characters take few bytes in storage ' +
    'and many as text. Look at parts of it with SQL, for example: ' +
    `select payload -> 'name' from pgwatch.notification_log where id = ${id}`
  );
}

/** Does the same as the SQL function notification_event_id, which explains it. */
function derivedEventId(row: LogRow): string {
  const [id, xid, microseconds] = row;
  const hash = createHash('md5').update(`${id}:${xid}:${microseconds}`).digest('hex');
  const hex = `${hash.slice(0, 12)}8${hash.slice(13, 16)}8${hash.slice(17)}`;
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

/** When it was published, in milliseconds since 1970. */
export function createdAt(row: LogRow): number {
  return Number(row[2]) / 1000;
}

function changeOf(row: LogRow): Change {
  const [schema, table, ...keyColumns] = parseJson(row[7] ?? '[]') as [string, string, ...string[]];
  const before = row[8] === null ? undefined : (parseJson(row[8]) as Record<string, unknown>);
  const after = row[9] === null ? undefined : (parseJson(row[9]) as Record<string, unknown>);
  const base = { schema, table, id: primaryKey(keyColumns, after ?? before) };
  switch (row[6]) {
    case 'INSERT':
      return { ...base, action: 'INSERT', new: after ?? {} };
    case 'UPDATE':
      return {
        ...base,
        action: 'UPDATE',
        old: before ?? {},
        new: after ?? {},
        changed: changed(before, after),
      };
    case 'DELETE':
      return { ...base, action: 'DELETE', old: before ?? {} };
    case 'SNAPSHOT':
      return { ...base, action: 'SNAPSHOT', new: after ?? {} };
    default:
      return { ...base, id: null, action: 'TRUNCATE' };
  }
}

/** The row itself is in the channel of one consumer; see consumerChannel. */
function captureChannel(row: LogRow): string {
  const { channel } = parseJson(row[10] || '{}') as { channel?: string };
  return channel ?? row[3];
}

function primaryKey(columns: string[], row: Record<string, unknown> | undefined): unknown {
  const [only] = columns;
  if (!row || only === undefined) return null;
  if (columns.length === 1) return row[only] ?? null;
  return Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
}

function changed(
  before: Record<string, unknown> = {},
  after: Record<string, unknown> = {},
): string[] {
  return Object.keys(after)
    .filter((column) => !isSameJson(after[column], before[column]))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
