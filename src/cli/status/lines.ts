import type { ConsumerView } from '../../inspect/consumer-view.ts';
import { type DaemonView, placeOf } from '../../inspect/daemons.ts';
import type { LogSummary } from '../../inspect/log-size.ts';
import type { Status } from '../../inspect/status.ts';
import { onOneLine } from '../../lines.ts';
import { colorsFor } from '../../reporter.ts';
import { bytesText, countOf, errorText, someOf } from '../../words.ts';
import { cutToWidth, type Paint, stdoutColumns, tableLines, tableWidth } from '../table.ts';
import {
  ago,
  describeLag,
  describeLeft,
  describeOwner,
  describePause,
  describeRate,
  short,
} from './cells.ts';

/** The status for people: two lines of summary, a table, and notes. */
export function statusLines(status: Status): string[] {
  const { at, daemons, log, consumers } = status;
  const head = [`Daemons  ${describeDaemons(daemons)}`, `Log      ${describeLog(log, at)}`];
  const columns = stdoutColumns();
  const notes = consumers.flatMap((consumer) =>
    notesOn(consumer, at).map((note) => `${consumer.consumerId}: ${note}`),
  );
  const cut = (lines: string[]) => lines.map((line) => cutToWidth(onOneLine(line), columns));
  return [
    ...cut(head),
    '',
    ...tableOf(status, columns),
    ...(notes.length > 0 ? ['', ...cut(notes)] : []),
  ];
}

/** The table. On a narrow terminal it omits owners and cuts ids, to keep all numbers visible. */
function tableOf({ at, consumers }: Status, columns: number): string[] {
  if (consumers.length === 0) {
    return ['There are no consumers yet. "pgwatch listen" registers the ones it runs.'];
  }
  const rows = consumers.map((consumer) => rowOf(consumer, at));
  const paint = painter();
  if (tableWidth(HEADINGS, rows) <= columns) return tableLines(HEADINGS, rows, paint);
  const headings = HEADINGS.slice(0, -1);
  const cut = rows.map((row) => row.slice(0, -1));
  const excess = Math.max(0, tableWidth(headings, cut) - columns);
  const ids = cut.map(([id = '']) => [id]);
  const room = Math.max(ID_WIDTH_MIN, tableWidth(headings.slice(0, 1), ids) - excess);
  const shorten = (id: string) => cutToWidth(onOneLine(id), room);
  return tableLines(
    headings,
    cut.map(([id = '', ...rest]) => [shorten(id), ...rest]),
    paint,
  );
}

/** Colours what needs attention. */
function painter(): Paint {
  const { red, yellow } = colorsFor(process.stdout);
  const ofState: Record<string, (text: string) => string> = {
    stopped: red,
    'not running': red,
    retrying: yellow,
    paused: yellow,
    pausing: yellow,
  };
  return (text, heading) => {
    if (heading === 'STATE') return ofState[text]?.(text) ?? text;
    return heading === 'DEAD' && text !== '0' ? red(text) : text;
  };
}

function rowOf(view: ConsumerView, at: Date): string[] {
  const { consumerId, state, oldestAt, rate, retrying, blocked, dead } = view;
  const isRun = view.daemons.length > 0 && state !== 'paused';
  const since = view.owner?.isAlive
    ? ` for ${short(at.getTime() - view.owner.since.getTime())}`
    : '';
  return [
    consumerId,
    state,
    describeLag(view),
    oldestAt ? short(at.getTime() - oldestAt.getTime()) : '-',
    describeLeft(view),
    describeRate(isRun ? rate : null),
    retrying.toLocaleString('en'),
    blocked.toLocaleString('en'),
    dead.toLocaleString('en'),
    `${describeOwner(view)}${since}`,
  ];
}

/** Notes that do not fit into a column: a pause, waiting notifications, the last error. */
function notesOn(view: ConsumerView, at: Date): string[] {
  const { isPaused, blocked, blockedKeys, retrying, replaying, nextAttemptAt, lastError } = view;
  const waiting: string[] = [];
  if (replaying > 0) waiting.push(`${replaying.toLocaleString('en')} to be replayed`);
  if (blocked > 0) {
    const keys = countOf(blockedKeys, 'key');
    waiting.push(`${blocked.toLocaleString('en')} blocked by earlier ones of ${keys}`);
  }
  if (retrying > 0 && nextAttemptAt) {
    const waitMs = nextAttemptAt.getTime() - at.getTime();
    waiting.push(waitMs > 0 ? `next retry in ${short(waitMs)}` : 'a retry is due');
  }
  const notes = isPaused ? [describePause(view, at)] : [];
  if (waiting.length > 0) notes.push(waiting.join(', '));
  if (lastError) {
    const { notificationId, at: failedAt } = lastError;
    const what = errorText(lastError);
    notes.push(`last error ${ago(failedAt, at)}, notification ${notificationId}: ${what}`);
  }
  return notes;
}

function describeDaemons(daemons: readonly DaemonView[]): string {
  if (daemons.length === 0) return 'none are running; "pgwatch listen" starts one';
  const texts = daemons.map((daemon) => {
    const { mode, pollMs } = daemon.activity;
    const how = mode === 'doorbell' ? 'doorbell' : `polls every ${short(pollMs)}`;
    return `${placeOf(daemon)} (${how})`;
  });
  return `${daemons.length.toLocaleString('en')} alive: ${someOf(texts)}`;
}

function describeLog({ bytes, newestId, newestAt }: LogSummary, at: Date): string {
  if (newestId === null || newestAt === null) return `${bytesText(bytes)}, empty`;
  return `${bytesText(bytes)}, the newest notification is ${newestId}, ${ago(newestAt, at)}`;
}

const HEADINGS = [
  'CONSUMER',
  'STATE',
  'LAG',
  'OLDEST',
  'LEFT',
  'RATE',
  'RETRY',
  'BLOCKED',
  'DEAD',
  'OWNER',
];
/** The width that is always left for a consumer's id. */
const ID_WIDTH_MIN = 10;
