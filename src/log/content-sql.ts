import { qualified } from '../database/names.ts';

/**
 * The content of a log row as text: null, the JSON, or UNREADABLE where its text, or the key beside
 * it, has more bytes than are wanted. A small value that is stored as it is needs no look: 40,000
 * bytes of the numbers that grow most become 370 MB.
 * @param row the name of the row, and of it the column
 */
export function contentTextSql(
  schema: string,
  row: string,
  column: ContentColumn,
  bytesMax = CONTENT_TEXT_BYTES_MAX,
): string {
  const value = `${row}.${column}`;
  return `case when octet_length(${row}.key) > ${KEY_BYTES_MAX} and '${column}' = 'payload' then '${UNREADABLE}'
    when pg_column_size(${value}) > ${STORED_TIMES_MAX * bytesMax} then '${UNREADABLE}'
    when pg_column_compression(${value}) is not null or pg_column_size(${value}) > 40000
    then ${qualified(schema, 'content_text')}(${value}, ${bytesMax})
    else ${value}::text end`;
}

/**
 * The same for one row of many: what is longer than a little is cut, or an empty text, and is to be
 * fetched by itself (fillLong). Nothing tells beforehand how long a text becomes.
 */
export function inlineTextSql(schema: string, row: string, column: ContentColumn): string {
  return `left(${contentTextSql(schema, row, column, INLINE_TEXT_MAX)}, ${INLINE_TEXT_MAX + 1})`;
}

/** The key of a log row; null where it is too long to be read, as its content tells. */
export function keyTextSql(row: string): string {
  return `case when octet_length(${row}.key) > ${KEY_BYTES_MAX} then null else ${row}.key end`;
}

/**
 * No jsonb takes more than some four times the room of its text: [1, 1] takes 12 bytes for each 1.
 */
const STORED_TIMES_MAX = 8;

export type ContentColumn = 'payload' | 'old_row' | 'new_row' | 'metadata';

/** What stands for a content that cannot be read: no JSON is an empty text. */
export const UNREADABLE = '';

/** How long a content may be as text that comes with its row, among others. */
export const INLINE_TEXT_MAX = 65_536;

/** How long a content may be that is read for others, too: what is longer they would wait for. */
export const JOINT_TEXT_MAX = 1024 * 1024;

/** V8 holds 512 MB in a string, and the server 1 GB in a text. */
export const CONTENT_TEXT_BYTES_MAX = 400_000_000;

/** For people, to whom it is shown with more around it. */
export const SHOWN_TEXT_BYTES_MAX = 50_000_000;

const KEY_BYTES_MAX = 50_000_000;
