import { jsonText, onOneLine } from '../../lines.ts';
import type { Change, LogNotification } from '../../log/notification.ts';
import { colorsFor } from '../../reporter.ts';
import { describeNotification } from '../detail.ts';
import { cutToWidth, endOfWidth, stdoutColumns, widthOf } from '../table.ts';

type Colors = ReturnType<typeof colorsFor>;

/** Formats a notification as one or more lines for stdout. */
export type Format = (notification: LogNotification) => string;

/** The action that --action filters by; GAP for a marker of removed notifications. */
export function actionOf({ change, isGap }: LogNotification): string | null {
  return isGap ? 'GAP' : (change?.action ?? null);
}

/** For programs: what a handler gets, except what belongs to a delivery. */
export function jsonLine(notification: LogNotification): string {
  const { isReplay, attempt, ...shown } = notification.toJSON();
  return jsonText(shown, 0);
}

/** A heading, and below it the whole notification. */
export function fullText(notification: LogNotification): string {
  const heading = [`Notification ${notification.id}`, actionOf(notification) ?? '']
    .join('  ')
    .trim();
  return `${colorsFor(process.stdout).bold(heading)}\n${describeNotification(notification)}\n`;
}

/** For people: one line each. Columns grow with their contents, up to a limit. */
export function lineFormat(columns = stdoutColumns(), colors = colorsFor(process.stdout)): Format {
  const isWide = columns >= 120;
  const widths = new Map<string, number>();
  const cell = (name: string, shown: string) => {
    const width = Math.max(widths.get(name) ?? 0, widthOf(shown));
    widths.set(name, width);
    return shown + ' '.repeat(width - widthOf(shown));
  };
  return (notification) => {
    const { id, channel, key, change, createdAt, unreadable } = notification;
    const action = actionOf(notification) ?? 'NOTIFY';
    const cells = [
      cell('time', timeOf(createdAt, { isWide })),
      cell('id', String(id)),
      cell('channel', endOfWidth(onOneLine(channel), isWide ? 24 : 12)),
      cell('key', endOfWidth(onOneLine(key ?? '-'), isWide ? 48 : 20)),
      cell('action', action),
    ];
    const payload = onOneLine(
      unreadable ?? (change ? changeText(change) : jsonText(notification.payload, 0)),
    );
    const room = columns - widthOf(cells.join('  ')) - 2;
    if (room < 1) return cutToWidth(cells.join('  '), columns);
    const [, ...middle] = cells.slice(0, -1);
    const painted = paint(colors, action)(cells.at(-1) ?? '');
    const head = [colors.dim(cells[0]), ...middle, painted].join('  ');
    return `${head}  ${cutToWidth(payload, room)}`.trimEnd();
  };
}

/** A summary of a change. */
function changeText(change: Change): string {
  switch (change.action) {
    case 'INSERT':
    case 'SNAPSHOT':
      return jsonText(change.new, 0);
    case 'DELETE':
      return jsonText(change.old, 0);
    case 'UPDATE': {
      const value = (row: Record<string, unknown>, column: string) =>
        jsonText(row[column] ?? null, 0);
      const texts = change.changed.map(
        (column) => `${column}: ${value(change.old, column)} → ${value(change.new, column)}`,
      );
      return texts.join(', ') || 'nothing changed';
    }
    default:
      return '';
  }
}

function paint(colors: Colors, action: string): (text: string) => string {
  const paints: Record<string, (text: string) => string> = {
    INSERT: colors.green,
    UPDATE: colors.yellow,
    DELETE: colors.red,
    TRUNCATE: colors.red,
  };
  return paints[action] ?? ((text) => text);
}

/** In local time: today the time, this year the day and time, otherwise the date. */
function timeOf(time: Date, { isWide }: { isWide: boolean }, now = new Date()): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const day = `${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  if (time.getFullYear() !== now.getFullYear()) return `${time.getFullYear()}-${day}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (time.toDateString() !== now.toDateString()) return `${day} ${clock}`;
  const ms = String(time.getMilliseconds()).padStart(3, '0');
  return `${clock}:${two(time.getSeconds())}${isWide ? `.${ms}` : ''}`;
}
