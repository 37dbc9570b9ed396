import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';

/** Whether the clock of this machine agrees with the server's. */
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
 * By how much the server's clock is ahead at least, behind where negative: it was read in between.
 */
export function skewOf(times: { sentMs: number; receivedMs: number; serverMs: number }): number {
  const { sentMs, receivedMs, serverMs } = times;
  if (serverMs > receivedMs) return serverMs - receivedMs;
  return serverMs < sentMs ? serverMs - sentMs : 0;
}

/** What is to be said of clocks that are so far apart. */
export function clockFindings(skewMs: number, limitMs: number): Finding[] {
  if (Math.abs(skewMs) <= limitMs) return [];
  return [
    {
      level: 'note',
      what: `The clock of this machine is ${formatDuration(Math.abs(skewMs))} ${skewMs > 0 ? 'behind' : 'ahead of'} the server's.`,
      why: 'Owners, leases, retries and cleanup go by the server\'s clock and are right; ages that are shown, --since 1h and the "from" of consumers are not, and certificates may count as expired.',
      fix: 'Let both keep time by NTP: timedatectl set-ntp true',
    },
  ];
}
