import { expect, test } from 'vitest';
import { outcomesOf, RetryAfter } from '../../src/consumers/outcome.ts';

const refused = new Error('refused');
const failed = { type: 'failed', error: refused, retryAfterMs: null };
const done = { type: 'done' };
const settled = await Promise.allSettled([Promise.resolve(1), Promise.reject(refused)]);

test.each([
  ['nothing', undefined],
  ['a value', { ok: false }],
  ['a list without an error, whatever its length', [1, 2, 3]],
  ['rows of a table with such a column', [{ id: 1, status: 'rejected', reason: 'out of stock' }]],
  ['rows that have a status alone', [{ status: 'rejected' }, { status: 'fulfilled' }]],
])('%s is success', (_, returned) => {
  expect(outcomesOf(returned, 2, true)).toEqual([done, done]);
  expect(outcomesOf(returned, 1, false)).toEqual([done]);
});

test('a list gives the result of each notification in a batch, by position', () => {
  expect(outcomesOf([undefined, refused], 2, true)).toEqual([done, failed]);
  expect(outcomesOf(settled, 2, true)).toEqual([done, failed]);
  expect(outcomesOf([new RetryAfter(5), 1], 2, true)).toMatchObject([{ retryAfterMs: 5 }, done]);
});

test('a list with an error and of the wrong length fails all of them', () => {
  const outcomes = outcomesOf(settled, 3, true);
  expect(outcomes.length).toBe(3);
  for (const outcome of outcomes) {
    const message = expect.stringContaining('returned 2 results for 3 notifications');
    expect(outcome).toMatchObject({ type: 'failed', error: { message } });
  }
});

test('for handle, any error in a list is its failure', () => {
  expect(outcomesOf(settled, 1, false)).toEqual([failed]);
});
