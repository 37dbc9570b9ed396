import { expect, test } from 'vitest';
import { parseAge, parseSeconds, splitList } from '../../src/cli/options.ts';

test('seconds become a duration; anything else is refused', () => {
  expect(['0.01', '5', '0.25'].map(parseSeconds)).toEqual(['0.01s', '5s', '0.25s']);
  for (const text of ['', ' ', 'soon', '0', '-1', '5s']) {
    expect(() => parseSeconds(text)).toThrow('Give a number of seconds');
  }
});

test('an age needs a unit: a bare number would be milliseconds, but days were meant', () => {
  expect(['90m', '2h', '7d', '1.5 h'].map(parseAge)).toEqual([
    5_400_000, 7_200_000, 604_800_000, 5_400_000,
  ]);
  for (const text of ['', '7', '7w', 'soon', '-1d', 'd']) {
    expect(() => parseAge(text)).toThrow('Give a duration with its unit');
  }
});

test('a list can be given by repetition or with commas', () => {
  expect(splitList(['a,b', 'c', ',d,'])).toEqual(['a', 'b', 'c', 'd']);
  expect(splitList(undefined)).toBeUndefined();
});
