import { expect, test } from 'vitest';
import { idFrom, idsFrom } from '../../src/cli/ids.ts';

test.each([
  [['42'], [42]],
  [
    ['42,43', '7419'],
    [42, 43, 7419],
  ],
  [['1000,1001,42'], [1000, 1001, 42]],
  [['7,7920'], [7, 7920]],
  [[], null],
])('%j are ids', (values, ids) => {
  expect(idsFrom(values)).toEqual(ids);
});

test.each(['7,419', '100,101', '12,345,678', '5000,7,419'])(
  '%j may be a grouped number, and is not split',
  (text) => {
    expect(() => idsFrom(['1', text])).toThrow(/may be one id or several/);
  },
);

test.each(['', '0', '4x', '7,419', '7.419', '42,43', '1e3', '9007199254740993'])(
  '%j is not an id',
  (text) => {
    expect(() => idFrom(text)).toThrow(`"${text}" is not a notification id`);
  },
);
