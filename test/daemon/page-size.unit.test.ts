import { expect, test } from 'vitest';
import { PageSize } from '../../src/daemon/shared/page-size.ts';

/** The rows of a page after `times` takes of takeMs, each followed by workMs of handling. */
function rowsAfter(times: number, { takeMs, workMs }: { takeMs: number; workMs: number }): number {
  const size = new PageSize(100);
  let now = 1;
  for (let n = 0; n < times; n++) {
    size.adapt({ startedAt: now, endedAt: now + takeMs }, true);
    now += takeMs + workMs;
  }
  return size.rows;
}

test('pages grow while handlers are fast, and shrink while they are slow', () => {
  expect(rowsAfter(9, { takeMs: 5, workMs: 20 })).toBe(400);
  expect(rowsAfter(9, { takeMs: 5, workMs: 500 })).toBe(100);
  expect(rowsAfter(9, { takeMs: 5, workMs: 1500 })).toBe(32);
});

test('pages do not shrink because taking is slow: more takes would wait for each other', () => {
  expect(rowsAfter(9, { takeMs: 1500, workMs: 20 })).toBe(400);
  expect(rowsAfter(9, { takeMs: 1500, workMs: 500 })).toBe(100);
});

test('a pause without work has no effect on the size', () => {
  const size = new PageSize(100);
  size.adapt({ startedAt: 0, endedAt: 1 }, true);
  size.adapt({ startedAt: 2, endedAt: 3 }, false);
  size.adapt({ startedAt: 9000, endedAt: 9001 }, true);
  expect(size.rows).toBe(100);
});
