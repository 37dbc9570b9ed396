import type { Config } from '../../config/define.ts';
import { describeHost, directTarget } from '../../database/target.ts';
import type { Reporter } from '../../reporter.ts';
import { formatDuration, sleep, TIMER_MS_MAX } from '../../time.ts';
import { publishTransition } from '../../transitions.ts';
import type { Control } from './control.ts';

export type ListeningOptions = {
  config: Config;
  control: Control;
  reporter: Reporter;
  channels: readonly string[];
};

/** Listens for the doorbell, or reports why the daemon only polls. */
export async function startListening(options: ListeningOptions): Promise<void> {
  const { config, control, reporter, channels } = options;
  const problem = control.hasSession ? await control.listen(channels) : null;
  publishTransition({ type: 'listening', mode: control.isListening ? 'doorbell' : 'poll' });
  if (control.isListening) return;
  const interval = formatDuration(config.pollIntervalMs);
  const effect = `so notifications wait for the next poll (every ${interval})`;
  reporter.warn(
    control.hasSession
      ? `LISTEN does not work on this connection (${problem}), ${effect}. pgwatch tries again ` +
          'from time to time; if there is a pooler, set directUrl to a connection that bypasses it.'
      : `${describeHost(directTarget(config))} is a pooler that lends a connection for one ` +
          `transaction only: LISTEN does not work there, ${effect}. ` +
          'Set directUrl to a connection that bypasses it.',
  );
}

/** Tries again from time to time if LISTEN may work later: a full queue empties, a pooler stays. */
export async function retryListening(
  { config, control, reporter, channels }: ListeningOptions,
  signal: AbortSignal,
): Promise<void> {
  const waitMs = Math.min(RETRY_POLLS * config.pollIntervalMs, TIMER_MS_MAX);
  while (control.hasSession && !control.isListening) {
    await sleep(waitMs, signal);
    if (signal.aborted) return;
    if ((await control.listen(channels)) !== null) continue;
    publishTransition({ type: 'listening', mode: 'doorbell' });
    reporter.info('LISTEN works now: notifications no longer wait for the next poll.');
  }
}

/** A minute, by default. */
const RETRY_POLLS = 12;
