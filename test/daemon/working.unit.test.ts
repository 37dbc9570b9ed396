import { expect, test } from 'vitest';
import { Working } from '../../src/daemon/owned/working.ts';
import type { DueDelivery } from '../../src/log/deliveries/due.ts';

const due = (notificationId: number, key: string | null = null): DueDelivery => ({
  consumerId: 'c',
  notificationId,
  row: null,
  key,
  attempts: 1,
  isSuspect: false,
  isGrouped: false,
});

const left = (working: Working, found: DueDelivery[], isOrdered = true) =>
  working.withoutStale(found, isOrdered).map(({ notificationId }) => notificationId);

test('a look leaves out what is being called, and what is ahead of the position', () => {
  const working = new Working();
  working.add(1);
  working.hold([5, 6]);
  expect(working.look()).toEqual([1, 5, 6]);
  working.hold([6]);
  working.delete(1);
  expect([working.look(), working.isHolding]).toEqual([[6], true]);
  working.hold([]);
  expect([working.look(), working.isHolding]).toEqual([[], false]);
});

test('what a look finds does not count if it was called since the look began', () => {
  const working = new Working();
  working.look();
  working.add(1);
  expect(left(working, [due(1), due(2)])).toEqual([2]);
  expect(working.leave(1)).toBe(true);
  expect(left(working, [due(1), due(2)])).toEqual([2]);
  working.look();
  expect(left(working, [due(1), due(2)])).toEqual([1, 2]);
});

test('later notifications of a stale key wait with it, if keys are ordered', () => {
  const working = new Working();
  working.look();
  working.add(1);
  const found = [due(1, 'a'), due(2, 'a'), due(3, 'b'), due(4)];
  expect(left(working, found)).toEqual([3, 4]);
  expect(left(working, found, false)).toEqual([2, 3, 4]);
});

test('leaving tells whether it was being called', () => {
  const working = new Working();
  working.add(1);
  expect([working.leave(1), working.leave(1), working.size]).toEqual([true, false, 0]);
});
