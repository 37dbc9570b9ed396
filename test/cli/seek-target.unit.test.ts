import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { parseTarget } from '../../src/cli/seek/target.ts';

test.each([
  ['start', 'start'],
  ['now', 'now'],
  ['42', 42],
  ['+100', { by: 100 }],
  ['-100', { by: -100 }],
  ['2026-11-20T09:30Z', new Date('2026-11-20T09:30:00Z')],
])('%s is a target', (text, target) => {
  expect(parseTarget(text)).toEqual(target);
});

test('an age is a time', () => {
  const hourAgo = Date.now() - 3_600_000;
  expect(Math.abs((parseTarget('-1h') as Date).getTime() - hourAgo)).toBeLessThan(1000);
});

test.each(['', '0', '-0', '1.5', '9007199254740993', '-', 'end', '1e3'])(
  '%j is not a target',
  (text) => {
    expect(() => parseTarget(text)).toThrow(InvalidArgumentError);
  },
);
