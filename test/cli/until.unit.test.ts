import { expect, test } from 'vitest';
import { parseUntil } from '../../src/cli/consumers/until.ts';

test('a duration is from now, and a time is a time', () => {
  expect(parseUntil('2h')).toBe(7_200_000);
  expect(parseUntil('1.5m')).toBe(90_000);
  expect(parseUntil('2026-11-30T06:00Z')).toEqual(new Date('2026-11-30T06:00:00Z'));
  expect(parseUntil('2026-11-30')).toEqual(new Date(2026, 10, 30));
});

test.for([
  '2026-02-30',
  '',
  'now',
  '120',
  '0s',
  '-2h',
  '2 fortnights',
  '2026',
  '2026-13-01',
  'tomorrow',
])('%j is not an end', (text) => {
  expect(() => parseUntil(text)).toThrow(/a duration from now/);
});

test('an end that no date can hold is refused', () => {
  for (const text of ['1000000000d', '3000000d', `${'9'.repeat(400)}d`]) {
    expect(() => parseUntil(text)).toThrow(/after the year 9999/);
  }
});
