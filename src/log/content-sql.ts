import { qualified } from '../database/names.ts';

/**
 * The content of a log row as text: null, the JSON, or UNREADABLE if its text, or the key of the
 * row, exceeds the limit in bytes. A small uncompressed value is not checked: 40,000 bytes of the
 * numbers that grow most become 370 MB.
 * @param row the alias of the row in the statement
 */
export function contentTextSql(
  schema: string,
  row: string,
  column: ContentColumn,
  bytesMax = CONTENT_TEXT_BYTES_MAX,
): string {
  const value = `${row}.${column}`;
  return `case when octet_length(${row}.key) > ${KEY_BYTES_MAX} and '${column}' = 'payload'
    then '${UNREADABLE}'
    when pg_column_size(${value}) > ${STORED_TIMES_MAX * bytesMax} then '${UNREADABLE}'
    when pg_column_compression(${value}) is not null or pg_column_size(${value}) > 40000
    then ${qualified(schema, 'content_text')}(${value}, ${bytesMax})
    else ${value}::text end`;
}

/**
 * The same for one row of many: a text over INLINE_TEXT_MAX is cut or empty, and has to be fetched
 * on its own (fillLong). The length of a text is not known before it is written.
 */
export function inlineTextSql(schema: string, row: string, column: ContentColumn): string {
  return `left(${contentTextSql(schema, row, column, INLINE_TEXT_MAX)}, ${INLINE_TEXT_MAX + 1})`;
}

/** The key of a log row; null if it is too long to be read, in which case the payload says so. */
export function keyTextSql(row: string): string {
  return `case when octet_length(${row}.key) > ${KEY_BYTES_MAX} then null else ${row}.key end`;
}

/**
 * A jsonb value takes at most about four times the space of its text: [1, 1] takes 12 bytes per 1.
 */
const STORED_TIMES_MAX = 8;

export type ContentColumn = 'payload' | 'old_row' | 'new_row' | 'metadata';

/** Replaces content that cannot be read: an empty text is never valid JSON. */
export const UNREADABLE = '';

/** The maximum length, as text, of content that is returned inline with its row. */
export const INLINE_TEXT_MAX = 65_536;

/** The maximum length of content in a shared read: all consumers would wait for longer content. */
export const JOINT_TEXT_MAX = 1024 * 1024;

/** V8 limits a string to 512 MB, and the server limits a text to 1 GB. */
export const CONTENT_TEXT_BYTES_MAX = 400_000_000;

/** The limit for content that is shown to people, with more text around it. */
export const SHOWN_TEXT_BYTES_MAX = 50_000_000;

const KEY_BYTES_MAX = 50_000_000;
