import { expect, test } from 'vitest';
import { changeAfter, changeAfterLoss } from '../../src/daemon/calls/change-after.ts';

const consumer = { attemptsMax: 3, backoffMs: (attempt: number) => attempt * 1000 };
const task = (attempt: number, isFiled = attempt > 1) => ({ id: 7, key: 'k', attempt, isFiled });
const error = new Error('no');
const failed = { type: 'failed', error, retryAfterMs: null } as const;

test('success removes the row of a notification that has one, and writes nothing otherwise', () => {
  expect(changeAfter(consumer, task(1), { type: 'done' })).toBeNull();
  expect(changeAfter(consumer, task(2), { type: 'done' })).toEqual({
    notificationId: 7,
    key: 'k',
    state: 'done',
  });
});

test('a failed notification waits for its backoff, and is dead after its last attempt', () => {
  expect(changeAfter(consumer, task(2), failed)).toMatchObject({
    state: 'retry',
    attempts: 2,
    delayMs: 2000,
    error: { name: 'Error', message: 'no' },
  });
  expect(changeAfter(consumer, task(3), failed)).toMatchObject({ state: 'dead', attempts: 3 });
});

test('RetryAfter spends no attempt, not even the last one', () => {
  const patient = { ...failed, retryAfterMs: 50 };
  const expected = { state: 'retry', attempts: 2, delayMs: 50 };
  expect(changeAfter(consumer, task(3), patient)).toMatchObject(expected);
});

test('a DeadLetter becomes a dead letter at its first attempt', () => {
  const outcome = { type: 'dead', error } as const;
  expect(changeAfter(consumer, task(1), outcome)).toMatchObject({ state: 'dead', attempts: 1 });
});

test('a lost transaction costs an attempt if the call is to blame, the last if recorded', () => {
  const after = (attempt: number, verdict: 'the call' | 'others', isRecorded = false) => {
    const called = { ...task(attempt), isRecorded };
    const { state, attempts } = changeAfterLoss(consumer, called, { error, verdict });
    return [state, attempts];
  };
  expect(after(1, 'the call')).toEqual(['retry', 1]);
  expect(after(1, 'others')).toEqual(['retry', 0]);
  expect(after(3, 'the call')).toEqual(['retry', 2]);
  expect(after(3, 'the call', true)).toEqual(['dead', 3]);
  expect(after(1, 'others', true)).toEqual(['retry', 1]);
});
