import type { OtherHalf } from '../../inspect/history/key-change.ts';
import type { RowImage } from '../../inspect/history/versions.ts';
import { indented, jsonText, onOneLine } from '../../lines.ts';
import { colorsFor } from '../../reporter.ts';
import type { HistoryEntry } from '../../service/operations/history.ts';
import { cutToWidth, stdoutColumns, widthOf } from '../table.ts';
import { diffLines } from './diff.ts';

export type VersionView = {
  isFirst: boolean;
  isDiff: boolean;
  /** The order of the columns. */
  order: readonly string[];
};

/** A heading, and below it the changes. */
export function versionText(
  version: HistoryEntry,
  { isFirst, isDiff, order }: VersionView,
): string {
  const { action, before, after, isAfterGap, otherHalf } = version;
  const changed = inOrder(version.changed, order);
  const lines = isAfterGap ? ['    (before this, it was changed without a notification)'] : [];
  // Columns that are the same as in the previous version are not repeated.
  const isNews = isFirst || isAfterGap || action === 'INSERT';
  if (action === 'UPDATE' && isDiff) lines.push(...diffOf(before ?? {}, after ?? {}, changed));
  else if (action === 'UPDATE') lines.push(...changes(before ?? {}, after ?? {}, changed));
  else if (isNews && action !== 'TRUNCATE')
    lines.push(...columnLines(after ?? before ?? {}, order));
  if (otherHalf) lines.push(keyLine(action, otherHalf));
  const columns = stdoutColumns();
  return [heading(version), ...lines.map((line) => cutToWidth(line, columns))].join('\n');
}

function keyLine(action: string, { notificationId, key }: OtherHalf): string {
  const values = Object.values(key);
  const text = onOneLine(jsonText(values.length === 1 ? values[0] : key, 0));
  const said = action === 'DELETE' ? 'its key became' : 'its key was changed from';
  return `    (${said} ${text}: notification ${notificationId})`;
}

/** 'name  value' for each column of a row, indented, in the order of the table's columns. */
export function columnLines(row: RowImage, order: readonly string[]): string[] {
  const names = inOrder(Object.keys(row), order);
  return aligned(names.map((name) => [name, jsonText(row[name], 0)]));
}

/** JSON objects have their own order; columns that the table no longer has come last. */
function inOrder(names: readonly string[], order: readonly string[]): string[] {
  return [
    ...order.filter((name) => names.includes(name)),
    ...names.filter((name) => !order.includes(name)),
  ];
}

function heading({
  notificationId,
  action,
  createdAt,
  userId,
  sessionId,
  xid,
}: HistoryEntry): string {
  const colors = colorsFor(process.stdout);
  const who = [
    ...(userId === null ? [] : [`by ${userId}`]),
    ...(sessionId === null ? [] : [`session ${sessionId}`]),
    `transaction ${xid}`,
  ];
  const first = colors.bold(`${notificationId}  ${action}`);
  const room = stdoutColumns() - `${notificationId}  ${action}  `.length;
  const rest = `${createdAt.toISOString()}  ${onOneLine(who.join(', '))}`;
  return `${first}  ${cutToWidth(rest, room)}`;
}

function changes(before: RowImage, after: RowImage, changed: readonly string[]): string[] {
  if (changed.length === 0) return ['    nothing changed'];
  const value = (row: RowImage, column: string) => (column in row ? jsonText(row[column], 0) : '?');
  return aligned(
    changed.map((column) => [column, `${value(before, column)} → ${value(after, column)}`]),
  );
}

function aligned(fields: readonly (readonly [name: string, text: string])[]): string[] {
  const names = fields.map(([name]) => onOneLine(name));
  const width = names.reduce((widest, name) => Math.max(widest, widthOf(name)), 0);
  return fields.map(
    ([, text], index) =>
      `    ${names[index]}${' '.repeat(width - widthOf(names[index] ?? ''))}  ${onOneLine(text)}`,
  );
}

function diffOf(before: RowImage, after: RowImage, changed: readonly string[]): string[] {
  const colors = colorsFor(process.stdout);
  return changed.flatMap((column) => {
    const [old, now] = [before, after].map((row) => valueLines(row[column]));
    const lines = diffLines(old ?? [], now ?? []).map(({ kind, text }) => {
      const line = cutToWidth(`      ${kind} ${text}`, stdoutColumns());
      return kind === '-' ? colors.red(line) : kind === '+' ? colors.green(line) : line;
    });
    return [indented(onOneLine(column)), ...lines];
  });
}

/** The lines of a text, or a value as indented JSON. */
function valueLines(value: unknown): string[] {
  const text = typeof value === 'string' && value.includes('\n') ? value : jsonText(value, 2);
  return text.split('\n').map(onOneLine);
}
