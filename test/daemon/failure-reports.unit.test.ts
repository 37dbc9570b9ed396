import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FailureReports } from '../../src/daemon/calls/failure-reports.ts';
import { collectReports } from '../helpers/daemon.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** What is reported, without the time and the level. */
function reporting() {
  const { reporter, reports } = collectReports();
  const said = () => reports.map((report) => report.replace(/^\S+ warning /, '').trim());
  return { failures: new FailureReports(reporter), said };
}

test('the first ten of a burst are reported in full, then the number of further ones', () => {
  const { failures, said } = reporting();
  for (let id = 1; id <= 1234; id++) failures.say('email', `email failed on ${id}.`, {});
  expect(said()).toHaveLength(10);
  expect(said().at(-1)).toBe('email failed on 10.');
  vi.advanceTimersByTime(10_000);
  expect(said()).toHaveLength(11);
  expect(said().at(-1)).toBe(
    'email: 1,224 more failures within 10 s; the last one: email failed on 1234. ' +
      'To list all: pgwatch dlq list --state all --consumer email.',
  );
  failures.say('email', 'email failed on 1235.', {});
  expect(said().at(-1)).toBe('email failed on 1235.');
});

test('bursts of consumers are counted separately, and closing reports the rest', () => {
  const { failures, said } = reporting();
  for (let id = 1; id <= 11; id++) failures.say('email', `email failed on ${id}.`, {});
  failures.say('webhook', 'webhook failed on 1.', {});
  expect(said().at(-1)).toBe('webhook failed on 1.');
  failures.close();
  expect(said().at(-1)).toContain('email: 1 more failure within');
  expect(said()).toHaveLength(12);
  vi.advanceTimersByTime(60_000);
  expect(said()).toHaveLength(12);
});
