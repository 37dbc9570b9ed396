import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';

/** Checks that the clock of this machine agrees with the server's. */
export const clock: Check = {
  name: 'clock',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, { limits }) {
    const sentMs = Date.now();
    const { rows } = await client.query<{ ms: number }>(
      'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
    );
    const skewMs = skewOf({ sentMs, receivedMs: Date.now(), serverMs: rows[0]?.ms ?? 0 });
    return {
      findings: clockFindings(skewMs, limits.clockMs),
      seen: `${Math.round(skewMs)} ms apart`,
    };
  },
};

/**
 * By at least how much the server's clock is ahead; negative: behind. It was read between the two
 * other times.
 */
export function skewOf(times: { sentMs: number; receivedMs: number; serverMs: number }): number {
  const { sentMs, receivedMs, serverMs } = times;
  if (serverMs > receivedMs) return serverMs - receivedMs;
  return serverMs < sentMs ? serverMs - sentMs : 0;
}

/** Findings about clocks that differ by this much. */
export function clockFindings(skewMs: number, limitMs: number): Finding[] {
  if (Math.abs(skewMs) <= limitMs) return [];
  return [
    {
      level: 'note',
      what:
        `The clock of this machine is ${formatDuration(Math.abs(skewMs))} ` +
        `${skewMs > 0 ? 'behind' : 'ahead of'} the server's.`,
      why:
        "Owners, leases, retries and cleanup use the server's clock and are right. " +
        'Displayed ages, --since 1h and the "from" of consumers are wrong, ' +
        'and certificates may count as expired.',
      fix: 'Synchronize both clocks with NTP: timedatectl set-ntp true',
    },
  ];
}
