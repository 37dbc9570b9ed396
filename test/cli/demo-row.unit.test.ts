import { expect, test } from 'vitest';
import { type DemoRow, headingLines, rowLine, rowOf } from '../../src/cli/demo/row.ts';
import { LogNotification, type LogRow } from '../../src/log/notification.ts';
import { colorsFor } from '../../src/reporter.ts';

const plain = colorsFor({ isTTY: false });
const row: DemoRow = {
  id: 7,
  channel: 'data_change',
  key: 'demo.orders:4',
  isReplay: false,
  latencyMs: 3,
  bytes: 222,
  isLarge: false,
  what: 'insert rice, Alan, new',
};

test('a row of the demo is aligned with the heading', () => {
  expect([...headingLines(80, plain).slice(1), rowLine(row, 80, plain)]).toEqual([
    '   ID  CHANNEL      KEY              LATENCY       SIZE  WHAT',
    '    7  data_change  demo.orders:4       3 ms  222 bytes  insert rice, Alan, new',
  ]);
});

test('a long key keeps its end, and a wide terminal gives it room', () => {
  const long = { ...row, key: 'demo.orders:12345' };
  expect(rowLine(long, 80, plain)).toContain('  …o.orders:12345     3 ms');
  expect(rowLine(long, 100, plain)).toContain('  demo.orders:12345            3 ms');
});

test.for([64, 80, 160])('no row is wider than a terminal of %i columns', (columns) => {
  const long = 'é'.repeat(500);
  const wide = { ...row, id: 123_456_789, channel: long, key: long, what: long, isLarge: true };
  const late = { ...wide, isReplay: true, latencyMs: 999, bytes: 123_456_789 };
  for (const line of [...headingLines(columns, plain), rowLine(late, columns, plain)]) {
    expect([...line].length).toBeLessThanOrEqual(columns);
  }
});

test.for([
  [0, '<1 ms'],
  [999, '999 ms'],
  [59_940, '59 s'],
  [60_000, '1 min'],
  [3_600_000, '1 h'],
  [200_000_000, '2 d'],
] as const)('a latency of %i ms is shown as %s', ([latencyMs, shown]) => {
  expect(rowLine({ ...row, latencyMs }, 80, plain)).toContain(` ${shown}  `);
});

test('a payload can neither control the terminal nor break the line', () => {
  const shown = rowOf(explicit({ text: 'a\u001b[31m\nb' }), 0).what;
  const line = rowLine({ ...row, what: `${shown}\u001b[31m\n\u0007x` }, 160, plain);
  expect(line).not.toMatch(/\p{Cc}/u);
});

test('a payload that NOTIFY cannot carry is marked as large', () => {
  expect(rowOf(explicit('x'.repeat(7800)), 0).isLarge).toBe(false);
  expect(rowOf(explicit('é'.repeat(4000)), 0)).toMatchObject({ isLarge: true, bytes: 8002 });
});

test('an update shows what has changed', () => {
  const notification = new LogNotification(
    [
      '1',
      '1',
      '0',
      'data_change',
      'public.t:1',
      null,
      'UPDATE',
      '["public","t","id"]',
      '{"id":1,"a":"x","b":null}',
      '{"id":1,"a":"y","b":{"c":1}}',
      null,
      null,
    ],
    { isReplay: true, attempt: 1 },
  );
  expect(rowOf(notification, 5)).toMatchObject({
    what: 'update a x→y, b null→{"c":1}',
    isReplay: true,
    latencyMs: 5,
  });
});

function explicit(payload: unknown): LogNotification {
  const head: [string, string, string, string, null] = ['1', '1', '0', 'orders', null];
  const log: LogRow = [...head, JSON.stringify(payload), null, null, null, null, null, null];
  return new LogNotification(log, { isReplay: false, attempt: 1 });
}
