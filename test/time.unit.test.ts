import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs, formatDuration, parseDurationMs, sleep, withDeadline } from '../src/time.ts';

test.each([
  ['250ms', 250],
  ['5s', 5000],
  ['1.5 s', 1500],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
  ['40', 40],
  [' 5s ', 5000],
  [0, 0],
  [1.5, 1.5],
  ['5 seconds', undefined],
  ['-5s', undefined],
  ['s', undefined],
  ['', undefined],
  [-1, undefined],
  [Number.NaN, undefined],
  [Number.POSITIVE_INFINITY, undefined],
  [null, undefined],
  [['5s'], undefined],
])('the duration %j is %j milliseconds', (text, expected) => {
  expect(parseDurationMs(text)).toBe(expected);
});

test.each([
  [0, '0 ms'],
  [849.6, '850 ms'],
  [999.6, '1.0 s'],
  [1000, '1.0 s'],
  [4249, '4.2 s'],
  [9960, '10 s'],
  [10_000, '10 s'],
  [59_400, '59 s'],
  [59_600, '1 min 0 s'],
  [190_000, '3 min 10 s'],
  [3_599_600, '1 h 0 min'],
  [7_500_000, '2 h 5 min'],
])('%j milliseconds are shown as %j', (durationMs, expected) => {
  expect(formatDuration(durationMs)).toBe(expected);
});

test('the backoff doubles from the base to the cap, with jitter down to a half', () => {
  const backoff = { baseMs: 100, capMs: 5000 };
  const full = [1, 2, 3, 7, 100, 1e9].map((attempt) => backoffMs(attempt, backoff, 1));
  expect(full).toEqual([100, 200, 400, 5000, 5000, 5000]);
  expect(backoffMs(1, backoff, 0)).toBe(50);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), (attempt) => {
      const waitMs = backoffMs(attempt, backoff);
      expect(waitMs).toBeGreaterThanOrEqual(50);
      expect(waitMs).toBeLessThanOrEqual(5000);
    }),
  );
});

test('a sleep ends early, without an error, when its signal aborts', async () => {
  const controller = new AbortController();
  const sleeping = sleep(600_000, controller.signal);
  controller.abort();
  await sleeping;
  await sleep(600_000, AbortSignal.abort());
});

test('a deadline passes results that arrive in time and rejects late ones', async () => {
  const late = () => new Error('late');
  expect(await withDeadline(Promise.resolve(7), 10_000, late)).toBe(7);
  await expect(withDeadline(Promise.reject(new Error('own')), 10_000, late)).rejects.toThrow('own');
  await expect(withDeadline(new Promise(() => {}), 1, late)).rejects.toThrow('late');
});
