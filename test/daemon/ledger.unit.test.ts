import { expect, test } from 'vitest';
import { Ledger } from '../../src/daemon/owned/ledger.ts';
import { reachedId, type Xid } from '../../src/log/positions/position.ts';
import { makePage, makePosition, makeTask } from '../helpers/pages.ts';

const open = (ids: readonly number[], rest = {}) => {
  const ledger = new Ledger(makePosition(0));
  return { ledger, page: ledger.open(makePage(ids, rest)) };
};

test('the position moves only past rows that are settled without a gap', () => {
  const { ledger, page } = open([1, 2, 3]);
  page.settle(1);
  expect(reachedId(ledger.position)).toBe(0);
  page.settle(0);
  expect(reachedId(ledger.position)).toBe(2);
  page.settle(2);
  expect(ledger.position).toEqual(page.page.after);
});

test('a settled page does not move the position past an earlier one that is not settled', () => {
  const { ledger, page } = open([1, 2], { hasMore: true });
  const second = ledger.open(makePage([3], { before: page.page.after }));
  second.settle(0);
  page.settle(0);
  expect(reachedId(ledger.position)).toBe(1);
  page.settle(1);
  expect(ledger.position).toEqual(second.page.after);
});

test('a page is closed once, in order, when everything up to its end is settled', () => {
  const closed: string[] = [];
  const ledger = new Ledger(makePosition(0));
  const first = ledger.open(makePage([1], { hasMore: true }), () => closed.push('first'));
  const second = ledger.open(makePage([2]), () => closed.push('second'));
  second.settle(0);
  expect([closed, ledger.openRows]).toEqual([[], 2]);
  first.settle(0);
  expect([closed, ledger.openRows]).toEqual([['first', 'second'], 0]);
});

test('an empty page moves the position, but not past one before it that is open', () => {
  const { ledger, page } = open([1], { hasMore: true });
  const empty = makePage([], { before: makePosition(9) });
  ledger.open(empty);
  expect(reachedId(ledger.position)).toBe(0);
  page.settle(0);
  expect(ledger.position).toEqual(empty.after);
});

test('gaps are the rows before the last settled one that are not settled themselves', () => {
  const { ledger, page } = open([1, 2, 3, 4], { hasMore: true });
  const second = ledger.open(makePage([5, 6, 7]));
  expect(ledger.gaps).toEqual([]);
  page.settle(1);
  second.settle(1);
  const ids = ledger.gaps.map(({ source, index }) => source.page.rows[index]?.[0]);
  expect(ids).toEqual(['1', '3', '4', '5']);
});

test('a transaction does not move the position past what was read before it', () => {
  const { ledger, page } = open([1, 2, 3], { hasMore: true });
  const { mark } = ledger;
  const later = ledger.open(makePage([4], { before: page.page.after }));
  page.settle(0);
  const place = (source: typeof page, index: number) => makeTask(0, null, { source, index });
  expect(reachedId(ledger.positionWith([place(page, 1)], mark))).toBe(2);
  expect(reachedId(ledger.positionWith([place(page, 2)], mark))).toBe(1);
  const all = [place(page, 1), place(page, 2), place(later, 0)];
  expect(ledger.positionWith(all, mark)).toEqual(page.page.after);
  expect(reachedId(ledger.position)).toBe(1);
});

test('the xid that saving a position returns bounds that position and no other', () => {
  const { ledger, page } = open([1, 2]);
  page.settle(0);
  const saved = ledger.position;
  ledger.learn(makePosition(0, 'other'), '7' as Xid);
  expect(ledger.position.window?.xid).toBe(null);
  page.settle(1);
  ledger.learn(saved, '8' as Xid);
  expect(ledger.position.doneXid).toBe('8');
});
