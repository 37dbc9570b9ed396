import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deliveryText, type FoundDeadLetters } from '../../src/cli/dlq/show.ts';
import { jsonText, onOneLine } from '../../src/lines.ts';
import { LogNotification } from '../../src/log/notification.ts';
import { someOf } from '../../src/words.ts';

/** Many characters that control terminals, among others. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\u001b', '\u009b', '\u0007', '\r', '\n', '\t', '\u007f', '\u0000'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
  ),
});
const error = fc.record(
  { name: text, message: text, code: text, stack: text },
  { requiredKeys: ['name', 'message'] },
);
const found = fc.record({
  key: text,
  channel: text,
  payload: fc.jsonValue(),
  error,
  content: text,
});

function foundOf({
  key,
  channel,
  payload,
  error,
  content,
}: {
  key: string;
  channel: string;
  payload: unknown;
  error: NonNullable<FoundDeadLetters['lastError']>;
  content: string;
}): FoundDeadLetters {
  const json = JSON.stringify({ payload, [content]: content });
  const uuid = '00000000-0000-0000-0000-000000000000';
  return {
    consumerId: content,
    id: 7,
    channel,
    key,
    state: 'dead',
    attempts: 5,
    nextAttemptAt: null,
    calledAttempt: null,
    replayedAt: null,
    firstFailedAt: new Date(0),
    lastFailedAt: new Date(1),
    firstError: error,
    lastError: error,
    notification: new LogNotification(
      ['7', '700', '0', channel, key, json, null, null, null, null, null, uuid],
      { isReplay: true, attempt: 5 },
    ),
  };
}

test('no control character of a dead letter is shown', () => {
  fc.assert(
    fc.property(found, (parts) => {
      const shown = deliveryText([foundOf(parts)]);
      expect(shown).not.toMatch(/[^\P{Cc}\n\t]/u);
      // Our own lines are indented less than any foreign text.
      const ours = shown.split('\n').filter((line) => /^(?! {4})./.test(line));
      expect(ours).toHaveLength(9);
    }),
  );
});

test('JSON for a terminal has no control characters, and the same value', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), text, fc.dictionary(text, text)), (value) => {
      expect(jsonText(value, 0)).not.toMatch(/\p{Cc}/u);
      expect(jsonText(value, 2)).not.toMatch(/[^\P{Cc}\n]/u);
      const same = JSON.parse(JSON.stringify(value));
      expect([JSON.parse(jsonText(value, 0)), JSON.parse(jsonText(value, 2))]).toEqual([
        same,
        same,
      ]);
    }),
  );
});

test('a text for one line is on one line', () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(onOneLine(value)).not.toMatch(/\p{Cc}/u);
    }),
  );
});

test('of many names only the first ones are shown', () => {
  const names = Array.from({ length: 1234 }, (_, index) => `n${index}`);
  expect(someOf(names.slice(0, 3))).toBe('n0, n1, n2');
  expect(someOf(names)).toBe('n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 1,224 more');
});
