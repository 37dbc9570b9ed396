import { expect, test } from 'vitest';
import { momentFrom, parseMoment } from '../../src/cli/moment.ts';

const NOW = Date.UTC(2026, 10, 20, 12);

test.each([
  ['1h', NOW - 3_600_000],
  ['-1h', NOW - 3_600_000],
  ['7d', NOW - 7 * 86_400_000],
  ['now', NOW],
  ['1000000000d', 0],
  ['2026-11-19T08:30Z', Date.UTC(2026, 10, 19, 8, 30)],
  ['2026-11-19 08:30:15.5+02:00', Date.UTC(2026, 10, 19, 6, 30, 15, 500)],
  ['2026-11-19', new Date(2026, 10, 19).getTime()],
  ['2026-11-19T08:30', new Date(2026, 10, 19, 8, 30).getTime()],
])('%s is a moment', (text, time) => {
  expect(momentFrom(text, NOW)?.getTime()).toBe(time);
});

test.each([
  '',
  '1',
  '-1',
  '42',
  'yesterday',
  '1x',
  '2026-13-01',
  '2026-02-30',
  '2026-02-29T10:00',
  '2026-11-31Z',
  '2026-11-19T25:00',
  '11/19/2026',
])('"%s" is not a moment, and the message says what is', (text) => {
  expect(momentFrom(text, NOW)).toBeUndefined();
  expect(() => parseMoment(text)).toThrow(/an age like 30m, 2h or 7d, or a time like/);
});
