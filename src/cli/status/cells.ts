import { type ConsumerView, STILL } from '../../inspect/consumer-view.ts';
import { placeOf } from '../../inspect/daemons.ts';
import { shortDuration } from '../../time.ts';
import { someOf } from '../../words.ts';

/** How many are unread: '1,234', or an estimate: '~4,300,000'. */
export function describeLag({ unread, isExact }: ConsumerView): string {
  if (isExact) return unread.toLocaleString('en');
  // Only two digits of an estimate are significant.
  return `~${Number(unread.toPrecision(2)).toLocaleString('en')}`;
}

/** The process that runs it: 'web-1:4711'. */
export function describeOwner({ isShared, daemons, owner }: ConsumerView): string {
  if (isShared) return daemons.length > 0 ? someOf(daemons.map(placeOf)) : '-';
  if (!owner) return '-';
  const { host, pid, isAlive } = owner;
  const place = host === null || pid === null ? 'unknown' : placeOf({ host, pid });
  return isAlive ? place : `${place}, gone`;
}

/** 'paused 3 min ago, until …'. */
export function describePause({ pausedAt, pausedUntil }: ConsumerView, at: Date): string {
  const since = pausedAt ? `paused ${ago(pausedAt, at)}` : 'paused';
  return pausedUntil ? `${since}, until ${pausedUntil.toISOString()}` : since;
}

/** '3 min ago', by the server's clock. */
export function ago(time: Date, at: Date): string {
  return `${shortDuration(Math.max(0, at.getTime() - time.getTime()))} ago`;
}

/** '12.3/s'; '-' if it is unknown. */
export function describeRate(rate: number | null): string {
  return rate === null ? '-' : `${Number(rate.toPrecision(3)).toLocaleString('en')}/s`;
}

/** The time until everything is settled. */
export function describeLeft({ unread, timeLeftMs, state }: ConsumerView): string {
  if (unread === 0) return '-';
  if (timeLeftMs !== null) return short(timeLeftMs);
  return STILL.includes(state) ? 'never' : '-';
}

/** '3 min'. A duration between two clocks may be negative. */
export function short(durationMs: number): string {
  return shortDuration(Math.max(0, Math.round(durationMs)));
}
