import { expect, test } from 'vitest';
import { FailingKeys } from '../../src/daemon/calls/failing-keys.ts';
import type { DeliveryChange } from '../../src/log/deliveries/delivery.ts';

const retry = (key: string | null, notificationId = 1): DeliveryChange => ({
  notificationId,
  key,
  state: 'retry',
  attempts: 1,
  delayMs: 0,
  error: null,
});
const done = (key: string | null, notificationId = 1): DeliveryChange => ({
  notificationId,
  key,
  state: 'done',
});

test('a key fails from the moment that a retry is noted, before that is saved', () => {
  const failing = new FailingKeys();
  failing.note(retry('a'));
  expect([failing.has('a'), failing.has('b'), failing.has(null)]).toEqual([true, false, false]);
  failing.settle([retry('a')], ['a']);
  expect(failing.has('a')).toBe(true);
});

test('a key fails no longer once the last change is saved, and nothing of it waits', () => {
  const failing = new FailingKeys(['a']);
  failing.note(done('a', 1));
  failing.note(retry('a', 2));
  // The database has not seen the second change yet.
  failing.settle([done('a', 1)], []);
  expect(failing.has('a')).toBe(true);
  failing.settle([retry('a', 2)], ['a']);
  expect(failing.has('a')).toBe(true);
  failing.note(done('a', 2));
  failing.settle([done('a', 2)], []);
  expect(failing.has('a')).toBe(false);
});

test('what the database says about a key is ignored while a change of it is not saved', () => {
  const failing = new FailingKeys(['b']);
  failing.note(retry('a'));
  failing.refresh(['a', 'b', 'c'], ['c']);
  expect(['a', 'b', 'c'].map((key) => failing.has(key))).toEqual([true, false, true]);
});

test('notifications without a key never wait for one another', () => {
  const failing = new FailingKeys();
  failing.note(retry(null));
  failing.add(null);
  failing.settle([retry(null)], []);
  expect(failing.has(null)).toBe(false);
});
