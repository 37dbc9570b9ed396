import { shownJson } from '../../json.ts';
import type { Notification } from '../../log/notification.ts';
import { type colorsFor, printable } from '../../reporter.ts';
import { shortDuration } from '../../time.ts';
import { bytesText } from '../../words.ts';

/** What a row of the table shows. */
export type DemoRow = {
  id: number;
  channel: string;
  key: string;
  isReplay: boolean;
  /** From the write, including its commit, to the handler. */
  latencyMs: number;
  bytes: number;
  isLarge: boolean;
  what: string;
};

type Colors = ReturnType<typeof colorsFor>;

/** What to show of a notification that is being handled. */
export function rowOf(notification: Notification, nowMs: number): DemoRow {
  const payload = shownJson(notification.payload);
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

/** The heading of the table, with a legend of its marks. */
export function headingLines(columns: number, colors: Colors): string[] {
  const cells = inColumns(['ID', 'CHANNEL', 'KEY', 'LATENCY', 'SIZE'], columns);
  const heading = `${cells.join('')}WHAT`;
  const legend =
    `${REPLAY} written before the daemon started   ` +
    `${LARGE} too large for NOTIFY: sent by reference`;
  return [colors.dim(legend.slice(0, columns)), colors.bold(heading.slice(0, columns))];
}

/** One line of the table; WHAT takes the remaining width. */
export function rowLine(row: DemoRow, columns: number, colors: Colors): string {
  const mark = row.isReplay ? `${REPLAY} ` : '';
  const texts: Cells = [
    String(row.id),
    row.channel,
    row.key,
    `${mark}${shortDuration(row.latencyMs)}`,
    `${row.isLarge ? `${LARGE} ` : ''}${bytesText(row.bytes)}`,
  ];
  const cells = inColumns(texts, columns);
  const [id, channel, key, latency, size] = cells;
  const what = cut(row.what, columns - cells.join('').length);
  const verb = /^(?:insert|update|delete)\b/.exec(what)?.[0] as
    | keyof typeof VERB_COLORS
    | undefined;
  return [
    colors.dim(id),
    channel,
    key,
    row.isReplay ? colors.yellow(latency) : latency,
    row.isLarge ? colors.magenta(size) : colors.dim(size),
    verb ? colors[VERB_COLORS[verb]](verb) + what.slice(verb.length) : what,
  ].join('');
}

type Cells = [id: string, channel: string, key: string, latency: string, size: string];

/** Widths that fit a change into 80 columns; on wider terminals the key gets more. */
function inColumns([id, channel, key, latency, size]: Cells, columns: number): Cells {
  const keyWidth = columns < 100 ? 15 : 24;
  return [
    `${id.padStart(5)}  `,
    `${cut(channel, 11).padEnd(11)}  `,
    `${cutStart(key, keyWidth).padEnd(keyWidth)} `,
    `${latency.padStart(8)}  `,
    `${size.padStart(9)}  `,
  ];
}

function describeChange({ change }: Notification): string | undefined {
  switch (change?.action) {
    case 'INSERT':
    case 'SNAPSHOT':
      return `${change.action.toLowerCase()} ${fields(change.new, Object.keys(change.new))}`;
    case 'UPDATE':
      return `update ${change.changed
        .map((name) => `${name} ${text(change.old[name])}→${text(change.new[name])}`)
        .join(', ')}`;
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
  return (typeof value === 'string' ? value : shownJson(value)).slice(0, WHAT_LENGTH_MAX);
}

/** The beginning of a text, on one line and safe for a terminal. */
function cut(value: string, width: number): string {
  const characters = [...onOneLine(value)];
  return characters.length > width
    ? `${characters.slice(0, Math.max(0, width - 1)).join('')}…`
    : characters.join('');
}

/** The end of a text: the end of a key tells more than its beginning. */
function cutStart(value: string, width: number): string {
  const characters = [...onOneLine(value)];
  return characters.length > width
    ? `…${characters.slice(characters.length - width + 1).join('')}`
    : characters.join('');
}

function onOneLine(value: string): string {
  return printable(value.slice(0, WHAT_LENGTH_MAX).replaceAll(/\s+/g, ' '));
}

const REPLAY = '↻';
const LARGE = '●';
const VERB_COLORS = { insert: 'green', update: 'cyan', delete: 'red' } as const;
/** NOTIFY carries less than 8000 bytes, including the envelope. */
const NOTIFY_BYTES_MAX = 7900;
/** No terminal is wider. */
const WHAT_LENGTH_MAX = 1000;
