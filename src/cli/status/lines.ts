import { type ConsumerView, STILL } from '../../inspect/consumer-view.ts';
import { type DaemonView, placeOf } from '../../inspect/daemons.ts';
import type { LogSummary } from '../../inspect/log-size.ts';
import type { Status } from '../../inspect/status.ts';
import { shortDuration } from '../../time.ts';
import { describeError, someOf } from '../describe.ts';
import { cutToWidth, onOneLine, stdoutColumns, tableLines } from '../table.ts';

/** The status for people: the whole in two lines, a table, and what takes more words. */
export function statusLines(status: Status): string[] {
  const { at, daemons, log, consumers } = status;
  const head = [`Daemons  ${describeDaemons(daemons)}`, `Log      ${describeLog(log, at)}`];
  const table =
    consumers.length === 0
      ? ['No consumer is known: each is once "pgwatch listen" has run it.']
      : tableLines(
          HEADINGS,
          consumers.map((consumer) => rowOf(consumer, at)),
        );
  const notes = consumers.flatMap((consumer) => {
    const parts = notesOn(consumer, at);
    return parts.length > 0 ? [`${consumer.consumerId}: ${parts.join('; ')}.`] : [];
  });
  const columns = stdoutColumns();
  const cut = (lines: string[]) => lines.map((line) => cutToWidth(onOneLine(line), columns));
  return [...cut(head), '', ...table, ...(notes.length > 0 ? ['', ...cut(notes)] : [])];
}

/** How many are unread: exactly, or about. */
export function describeLag({ unread, isExact }: ConsumerView): string {
  if (isExact) return unread.toLocaleString('en');
  // Two digits of an estimate are worth something.
  return `about ${Number(unread.toPrecision(2)).toLocaleString('en')}`;
}

/** Who runs it: 'web-1:4711'. */
export function describeOwner({ isShared, daemons, owner }: ConsumerView): string {
  if (isShared) return daemons.length > 0 ? someOf(daemons.map(placeOf)) : '-';
  if (!owner) return '-';
  const { host, pid, isAlive } = owner;
  const place = host === null || pid === null ? 'somebody' : placeOf({ host, pid });
  return isAlive ? place : `${place}, gone`;
}

/** 'since …, until …'. */
export function describePause({ pausedAt, pausedUntil }: ConsumerView, at: Date): string {
  const since = pausedAt ? `paused ${ago(pausedAt, at)}` : 'paused';
  return pausedUntil ? `${since}, until ${pausedUntil.toISOString()}` : since;
}

/** '3 min ago', by the server's clock. */
export function ago(time: Date, at: Date): string {
  return `${shortDuration(Math.max(0, at.getTime() - time.getTime()))} ago`;
}

function rowOf(view: ConsumerView, at: Date): string[] {
  const { consumerId, state, unread, oldestAt, timeLeftMs, rate, retrying, blocked, dead } = view;
  const isRun = view.daemons.length > 0 && state !== 'paused';
  const left = timeLeftMs === null ? (STILL.includes(state) ? 'never' : '-') : short(timeLeftMs);
  const keys = blocked > 0 ? ` (${view.blockedKeys} keys)`.replace('(1 keys)', '(1 key)') : '';
  const since = view.owner?.isAlive
    ? ` for ${short(at.getTime() - view.owner.since.getTime())}`
    : '';
  return [
    consumerId,
    state,
    describeLag(view),
    oldestAt ? short(at.getTime() - oldestAt.getTime()) : '-',
    unread === 0 ? '-' : left,
    !isRun ? '-' : `${Number(rate.toPrecision(3)).toLocaleString('en')}/s`,
    retrying.toLocaleString('en'),
    `${blocked.toLocaleString('en')}${keys}`,
    dead.toLocaleString('en'),
    `${describeOwner(view)}${since}`,
  ];
}

/** What does not fit into a column: a pause, the next retry, the last error. */
function notesOn(view: ConsumerView, at: Date): string[] {
  const { isPaused, retrying, replaying, nextAttemptAt, lastError } = view;
  const notes = isPaused ? [describePause(view, at)] : [];
  if (retrying > 0 && nextAttemptAt) {
    const waitMs = nextAttemptAt.getTime() - at.getTime();
    notes.push(waitMs > 0 ? `next retry in ${short(waitMs)}` : 'a retry is due');
  }
  if (replaying > 0) notes.push(`${replaying.toLocaleString('en')} to be replayed`);
  if (lastError) {
    const { notificationId, at: failedAt } = lastError;
    const what = describeError(lastError);
    notes.push(`last error ${ago(failedAt, at)}, notification ${notificationId}: ${what}`);
  }
  return notes;
}

function describeDaemons(daemons: readonly DaemonView[]): string {
  if (daemons.length === 0) return 'none is alive: "pgwatch listen" starts one';
  const texts = daemons.map((daemon) => {
    const { mode, pollMs } = daemon.activity;
    const how = mode === 'doorbell' ? 'doorbell' : `polls every ${short(pollMs)}`;
    return `${placeOf(daemon)} (${how})`;
  });
  return `${daemons.length.toLocaleString('en')} alive: ${someOf(texts)}`;
}

function describeLog({ bytes, newestId, newestAt }: LogSummary, at: Date): string {
  if (newestId === null || newestAt === null) return `${describeBytes(bytes)}, empty`;
  return `${describeBytes(bytes)}, the newest notification is ${newestId}, ${ago(newestAt, at)}`;
}

/** '1.2 GB'. */
function describeBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function short(durationMs: number): string {
  return shortDuration(Math.max(0, Math.round(durationMs)));
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
