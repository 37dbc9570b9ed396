import { expect, test } from 'vitest';
import { TailSubscription } from '../../src/daemon/tail/tail-subscription.ts';
import { makePage, makePosition } from '../helpers/pages.ts';

const subscribe = (limit = { rows: 4, bytes: 100 }) =>
  new TailSubscription(makePosition(0), ['c'], limit);

test('pages are taken in the order in which they were pushed', async () => {
  const subscription = subscribe();
  const pages = [makePage([1]), makePage([2])];
  expect(pages.map((page) => subscription.push(page))).toEqual([true, true]);
  expect([await subscription.take(), await subscription.take()]).toEqual(pages);
});

test('whoever waits gets the next page, or the end', async () => {
  const subscription = subscribe();
  const page = makePage([1]);
  const waiting = subscription.take();
  subscription.push(page);
  expect(await waiting).toBe(page);
  const last = subscription.take();
  subscription.end();
  expect(await last).toBe(undefined);
});

test.each([
  ['rows', makePage([3, 4, 5])],
  ['bytes', makePage([3], { bytes: 99 })],
])('a page of too many %s ends it, and what is queued can still be taken', async (_, page) => {
  const subscription = subscribe();
  const first = makePage([1, 2], { bytes: 2 });
  subscription.push(first);
  expect(subscription.push(page)).toBe(false);
  expect(subscription.push(makePage([6]))).toBe(false);
  expect([await subscription.take(), await subscription.take()]).toEqual([first, undefined]);
});

test('a page that is larger than the limit is taken if it comes alone', async () => {
  const subscription = subscribe();
  const page = makePage([1, 2, 3, 4, 5], { bytes: 1000 });
  expect(subscription.push(page)).toBe(true);
  expect(await subscription.take()).toBe(page);
  expect(subscription.push(page)).toBe(true);
});

test('empty pages fill the queue, too', () => {
  const subscription = subscribe();
  const pushed = [1, 2, 3, 4, 5].map(() => subscription.push(makePage([])));
  expect(pushed).toEqual([true, true, true, true, false]);
});

test('contents that were left out end it only if its consumer wants them', () => {
  const subscription = subscribe();
  expect(subscription.push(makePage([1], { leftOut: ['other'] }))).toBe(true);
  expect(subscription.push(makePage([2], { leftOut: ['c'] }))).toBe(false);
});
