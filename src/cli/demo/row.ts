import type { ChalkInstance } from 'chalk';
import type { Notification } from '../../log/notification.ts';
import { printable } from '../../reporter.ts';

/** What a row of the table shows. */
export type Row = {
  id: number;
  channel: string;
  key: string;
  isReplay: boolean;
  /** From the write, its commit included, to the handler. */
  latencyMs: number;
  bytes: number;
  isLarge: boolean;
  what: string;
};

export function rowOf(notification: Notification, nowMs: number): Row {
  const payload = JSON.stringify(notification.payload);
  const bytes = Buffer.byteLength(payload);
  return {
    id: notification.id,
    channel: notification.channel,
    key: notification.key ?? '',
    isReplay: notification.isReplay,
    latencyMs: Math.max(0, nowMs - notification.createdAt.getTime()),
    bytes,
    isLarge: bytes > NOTIFY_BYTES_MAX,
    what: describeChange(notification) ?? payload.slice(0, WHAT_LENGTH_MAX),
  };
}

/** The heading of the table, with what its marks mean. */
export function headingLines(columns: number, colors: ChalkInstance): string[] {
  const heading = [
    'ID'.padStart(WIDTHS.id),
    'CHANNEL'.padEnd(WIDTHS.channel),
    'KEY'.padEnd(WIDTHS.key),
    'LATENCY'.padStart(WIDTHS.latency),
    'SIZE'.padStart(WIDTHS.size),
    'WHAT',
  ].join(GAP);
  const legend = `${REPLAY} written before anybody listened   ${LARGE} too large for NOTIFY: sent by reference`;
  return [colors.dim(legend.slice(0, columns)), colors.bold(heading.slice(0, columns))];
}

/** One line of the table; WHAT takes what room is left. */
export function rowLine(row: Row, columns: number, colors: ChalkInstance): string {
  const latency = `${row.isReplay ? `${REPLAY} ` : ''}${shortDuration(row.latencyMs)}`;
  const size = `${row.isLarge ? `${LARGE} ` : ''}${shortSize(row.bytes)}`;
  const what = cut(row.what, columns - WHAT_COLUMN);
  const [verb] = what.split(' ', 1) as [string];
  return [
    colors.dim(String(row.id).padStart(WIDTHS.id)),
    cut(row.channel, WIDTHS.channel).padEnd(WIDTHS.channel),
    cut(row.key, WIDTHS.key).padEnd(WIDTHS.key),
    row.isReplay
      ? colors.yellow(latency.padStart(WIDTHS.latency))
      : latency.padStart(WIDTHS.latency),
    row.isLarge
      ? colors.magenta(size.padStart(WIDTHS.size))
      : colors.dim(size.padStart(WIDTHS.size)),
    verb in VERB_COLORS
      ? colors[VERB_COLORS[verb as keyof typeof VERB_COLORS]](verb) + what.slice(verb.length)
      : what,
  ].join(GAP);
}

function describeChange({ change }: Notification): string | undefined {
  switch (change?.action) {
    case 'INSERT':
      return `insert ${fields(change.new, Object.keys(change.new))}`;
    case 'UPDATE':
      return `update ${change.changed.map((name) => `${name} ${text(change.old[name])} → ${text(change.new[name])}`).join(', ')}`;
    case 'DELETE':
      return `delete ${fields(change.old, Object.keys(change.old))}`;
    default:
      return change ? 'truncate' : undefined;
  }
}

/** Without the id, which the key shows. */
function fields(row: Record<string, unknown>, names: string[]): string {
  return names
    .filter((name) => name !== 'id')
    .map((name) => text(row[name]))
    .join(', ');
}

function text(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, WHAT_LENGTH_MAX);
}

/** On one line, safe for a terminal, and no longer than that. */
function cut(value: string, width: number): string {
  const characters = [...printable(value.slice(0, WHAT_LENGTH_MAX).replaceAll(/\s+/g, ' '))];
  return characters.length > width
    ? `${characters.slice(0, Math.max(0, width - 1)).join('')}…`
    : characters.join('');
}

function shortDuration(durationMs: number): string {
  if (durationMs < 1) return '<1 ms';
  if (durationMs < 1000) return `${durationMs} ms`;
  const seconds = durationMs / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

function shortSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const WIDTHS = { id: 6, channel: 11, key: 15, latency: 8, size: 9 };
const GAP = '  ';
const WHAT_COLUMN = Object.values(WIDTHS).reduce((sum, width) => sum + width + GAP.length, 0);
const REPLAY = '↻';
const LARGE = '●';
const VERB_COLORS = { insert: 'green', update: 'cyan', delete: 'red', truncate: 'red' } as const;
/** What NOTIFY carries is below 8000 bytes, the envelope included. */
const NOTIFY_BYTES_MAX = 7900;
/** No terminal is wider. */
const WHAT_LENGTH_MAX = 1000;
