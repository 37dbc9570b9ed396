import { expect, test } from 'vitest';
import { partitionText } from '../../src/cli/cleanup/partition-text.ts';
import { needText, pinningAdvice } from '../../src/inspect/cleanup/pinning.ts';
import { bytesText } from '../../src/words.ts';

const email = {
  consumerId: 'email',
  atId: 1234,
  behind: 5678,
  isAlive: false,
  isStopped: false,
  isPaused: false,
  savedAt: new Date(Date.now() - 3 * 86_400_000),
};
const position = { consumerId: 'email', reason: 'position' } as const;

test.each([
  [{}, /5,678 behind, and not running \(.* 3 d ago\): start .* "pgwatch listen", .* remove email"/],
  [{ behind: 100_000 }, /100,000 or more behind/],
  [
    { isAlive: true },
    /^email is at id 1234, 5,678 behind, and running: wait until it has caught up, or remove what/,
  ],
  [{ isAlive: true, behind: 0 }, /0 behind, and running: wait a moment and run cleanup again, or/],
  [
    { isAlive: true, isStopped: true },
    /and stopped at a dead letter: retry .*: "pgwatch dlq list --consumer email", or remove/,
  ],
  [
    { isPaused: true },
    /and paused \(.*\): resume it with "pgwatch consumers resume email", or remove what/,
  ],
])(
  "the advice names what a consumer's position pins, and how to proceed: %j",
  (facts, expected) => {
    const text = pinningAdvice({ ...email, ...facts }, [position]);
    expect(text).toMatch(expected);
    expect(text).toMatch(/, or remove what it needs with --force\.$/);
  },
);

test('the advice for retries is to inspect them, and needs no daemon', () => {
  const text = pinningAdvice(email, [{ consumerId: 'email', reason: 'retry' }]);
  expect(text).toMatch(/^email has old notifications that wait for a retry: see "pgwatch dlq list/);
  expect(text).not.toContain('listen');
});

test('notifications that would be missed are counted over all partitions', () => {
  const pins = [
    { ...position, count: 1000 },
    { ...position, count: 234 },
    { consumerId: 'audit', reason: 'retry', count: null } as const,
  ];
  expect(needText(pins)).toBe('email (1,234 notifications), audit (retries, which are copied)');
  expect(needText([])).toBe('');
});

test.each([
  ['2020-01-05T00:00Z', '2020-01-06T00:00Z', '2020-01-05'],
  ['2020-01-05T07:00Z', '2020-01-05T08:00Z', '2020-01-05T07'],
  ['2020-01-05T00:00Z', '2020-01-08T00:00Z', 'p'],
  [null, null, 'the default partition'],
])('the partition from %s to %s is %s', (from, until, expected) => {
  const toDate = (text: string | null) => (text === null ? null : new Date(text));
  const partition = {
    name: 'p',
    starts: toDate(from),
    ends: toDate(until),
    rowEstimate: 0,
    bytes: 0,
  };
  expect(partitionText(partition)).toBe(expected);
});

test.each([
  [0, '0 bytes'],
  [999, '999 bytes'],
  [4_400_000, '4.2 MB'],
  [13_000_000_000, '12 GB'],
])('%i bytes are %s', (bytes, expected) => {
  expect(bytesText(bytes)).toBe(expected);
});
