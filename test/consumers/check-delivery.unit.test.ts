import { expect, test } from 'vitest';
import { checkConsumer } from '../../src/consumers/check.ts';

const check = (definition: object) =>
  checkConsumer({ channels: ['orders'], ...definition }, '/c/email.ts', '/c');
const handle = () => {};

test('omitted options have the documented defaults', () => {
  expect(check({ handle })).toMatchObject({
    order: 'key',
    concurrency: 1,
    attemptsMax: 20,
    timeoutMs: 300_000,
    onDead: 'continue',
    isTransactional: false,
    isShared: false,
    schema: null,
    isBatch: false,
  });
});

/** The total wait before all attempts, in ms, at least and at most. */
function waits({ attemptsMax, backoffMs }: ReturnType<typeof check>): [number, number] {
  const sum = (samples: number, pick: (...values: number[]) => number) =>
    Array.from({ length: attemptsMax - 1 }, (_, index) =>
      pick(...Array.from({ length: samples }, () => backoffMs(index + 1))),
    ).reduce((total, ms) => total + ms, 0);
  return [sum(200, Math.min), sum(200, Math.max)];
}

test('by default retries go on for one to three hours, and wait at most 15 minutes', () => {
  const [least, most] = waits(check({ handle }));
  expect(least).toBeGreaterThan(3_600_000);
  expect(most).toBeLessThan(3 * 3_600_000);
  const { backoffMs } = check({ handle, retry: { backoff: '10m' } });
  const late = Array.from({ length: 200 }, () => backoffMs(50));
  expect(Math.max(...late)).toBeLessThanOrEqual(900_000);
  expect(Math.min(...late)).toBeGreaterThanOrEqual(450_000);
});

test('a custom backoff is used as it is, and replaced if it fails', () => {
  const backoffOf = (backoff: unknown) => check({ handle, retry: { backoff } }).backoffMs(1);
  expect(backoffOf(() => 7)).toBe(7);
  expect(backoffOf(() => '2h')).toBe(7_200_000);
  for (const broken of [() => 'soon', () => Number.NaN, () => Promise.reject.call(null)]) {
    expect(backoffOf(broken)).toBeGreaterThanOrEqual(500);
    expect(backoffOf(broken)).toBeLessThanOrEqual(1000);
  }
});

test.each([
  [{ retry: 3 }, "retry must be like { attempts: 20, backoff: '1s' }, not 3"],
  [{ retry: { attempts: 0 } }, 'retry.attempts must be a whole number from 1, not 0'],
  [{ retry: { backoff: 'soon' } }, "retry.backoff must be a duration like '1s'"],
  [{ retry: { tries: 3 } }, 'retry has an unknown option "tries": use attempts and backoff'],
  [{ concurrency: 0 }, 'concurrency must be a whole number from 1, not 0'],
  [{ concurrency: 2, transaction: true }, 'concurrency cannot be combined with'],
  [{ transaction: 'yes' }, "transaction must be false or true, not 'yes'"],
  [{ order: 'none at all' }, "order must be 'key' or 'none'"],
  [{ timeout: '25d' }, "timeout must be a duration like '30s', at most 24 days, not '25d'"],
  [{ timeout: 0 }, 'timeout must be a duration'],
  [{ onDead: 'ignore' }, "onDead must be 'continue' or 'stop', not 'ignore'"],
  [{ instances: 4 }, "instances must be 'one' or 'shared', not 4"],
  [{ schema: {} }, 'schema must be a Standard Schema'],
])('%j is refused', (options, message) => {
  expect(() => check({ handle, ...options })).toThrow(message);
});
