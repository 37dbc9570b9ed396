import { expect, test } from 'vitest';
import { checkConsumer } from '../../src/consumers/check.ts';
import type { Notification } from '../../src/log/notification.ts';

const check = (definition: object) => checkConsumer(definition, '/c/email.ts', '/c');
const handle = () => {};
const base = { channels: ['orders'], handle };

test.each([
  ['start', 'start'],
  ['now', 'now'],
  [0, 0],
  [42, 42],
  ['2026-01-01', new Date('2026-01-01')],
  [new Date(5), new Date(5)],
])('a consumer may begin at %j', (from, expected) => {
  expect(check({ ...base, from }).from).toEqual(expected);
});

test.each([
  [{ ...base, from: -1 }, 'from must be'],
  [{ ...base, from: 1.5 }, 'from must be'],
  [{ ...base, from: 'later' }, 'from must be'],
  [{ ...base, from: new Date('x') }, 'from must be'],
  [{ ...base, channels: 'orders' }, 'channels must be a list'],
  [{ ...base, channels: [] }, 'channels must be a list'],
  [{ ...base, channels: [''] }, 'a channel must be a name of 1 to 63 bytes'],
  [{ ...base, channels: [5] }, 'a channel must be a name of 1 to 63 bytes, not 5'],
  [{ ...base, channels: ['a\0'] }, 'a channel must be a name of 1 to 63 bytes'],
  [{ ...base, channels: ['\ud83d'] }, 'a channel must be a name of 1 to 63 bytes'],
  [{ ...base, id: '' }, 'id must be'],
  [{ ...base, id: 'x'.repeat(101) }, 'id must be'],
  [{ ...base, id: 7 }, 'id must be'],
  [{ ...base, batchSize: 10 }, 'batchSize requires handleBatch'],
  [{ ...base, onGap: 'x' }, 'onGap must be a function'],
  [{ ...base, handleBatch: handle }, 'not both'],
  [{ channels: ['a'] }, 'it needs a function handle'],
  [{ channels: ['a'], handle: 'x' }, 'it needs a function handle'],
  [
    { channels: ['a'], handleBatch: handle, batchSize: 0 },
    'batchSize must be a whole number from 1',
  ],
  [{ ...base, handel: handle }, 'unknown option "handel". Did you mean "handle"?'],
])('%j is refused', (definition, message) => {
  expect(() => check(definition)).toThrow(message);
});

test('the handler is called on its definition, so "this" works', () => {
  const seen: unknown[] = [];
  const consumer = check({
    channels: ['a'],
    id: 'mine',
    handle(this: { id: string }, notification: unknown) {
      seen.push(this.id, notification);
    },
  });
  const notification = {} as Notification;
  consumer.handleBatch([notification], {} as never);
  expect(seen).toEqual(['mine', notification]);
  expect(Object.isFrozen(consumer) && Object.isFrozen(consumer.channels)).toBe(true);
});
