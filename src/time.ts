import { setTimeout as delay } from 'node:timers/promises';

/** The longest timer that Node.js supports, 24 days: longer ones fire at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** Waits; returns early, without an error, when the signal aborts. */
export async function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  await delay(durationMs, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/**
 * Rejects with the error from `onTimeout` if the promise has not settled in time. If this process
 * was busy or frozen, whatever arrived meanwhile counts as in time.
 */
export async function withDeadline<T>(
  promise: Promise<T>,
  deadlineMs: number,
  onTimeout: () => Error,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    // Node.js runs timers before it handles received data; setImmediate runs after that.
    timer = setTimeout(() => setImmediate(() => reject(onTimeout())), deadlineMs);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

export type Backoff = { baseMs: number; capMs: number };

/**
 * Exponential backoff with equal jitter: from half to all of base × 2^(attempt − 1), capped.
 * @param attempt counts from 1
 * @param random from 0 to 1, for tests
 */
export function backoffMs(
  attempt: number,
  { baseMs, capMs }: Backoff,
  random = Math.random(),
): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 50));
  return Math.round(full / 2 + (full / 2) * random);
}

const MS_PER_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Parses '250ms', '5s', '2m', '1h', '7d' or a number of milliseconds, to milliseconds; undefined
 * for anything else.
 */
export function parseDurationMs(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(value.trim());
  if (!match) return undefined;
  const unit = (match[2] ?? 'ms') as keyof typeof MS_PER_UNIT;
  return Number(match[1]) * MS_PER_UNIT[unit];
}

/** '850 ms', '4.2 s', '3 min 10 s', '2 h 5 min', for people. */
export function formatDuration(durationMs: number): string {
  // Round before splitting, so no part is ever 60.
  if (durationMs < 999.5) return `${Math.round(durationMs)} ms`;
  if (durationMs < 9950) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** '<1 ms', '850 ms', '4.2 s', '42 s', '3 min', '2 h', '7 d', for columns of a table. */
export function shortDuration(durationMs: number): string {
  if (durationMs < 1) return '<1 ms';
  if (durationMs < 1000) return `${durationMs} ms`;
  const seconds = durationMs / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
