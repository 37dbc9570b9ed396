import { expect, test } from 'vitest';
import { reportChannels } from '../../src/daemon/control/channel-change.ts';
import type { Reporter } from '../../src/reporter.ts';

test('many channels that a consumer starts or stops reading are reported in one line', () => {
  const lines: string[] = [];
  const reporter = { info: (line: string) => void lines.push(line) } as unknown as Reporter;
  const named = (count: number) => Array.from({ length: count }, (_, n) => `ch${n}`);
  const report = (from: number, to: number) =>
    reportChannels(
      reporter,
      { id: 'c', channels: named(to) },
      { previousChannels: named(from), reachedId: 7 },
    );
  report(1, 4);
  expect(lines.splice(0)).toHaveLength(3);
  report(1, 20_000);
  report(20_000, 1);
  expect(lines).toEqual([
    expect.stringMatching(/^c reads 19999 more channels from id 8 on, for example ch1\. /),
    'c no longer reads 19999 channels from id 8 on, for example ch1.',
  ]);
});
