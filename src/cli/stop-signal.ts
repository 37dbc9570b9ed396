import type { Reporter } from '../reporter.ts';

/**
 * A signal that aborts at the first SIGINT or SIGTERM, or when the terminal is closed. The second ends
 * the process at once with exit code 1, whatever still runs.
 */
export function stopSignal(reporter: Reporter): AbortSignal {
  const controller = new AbortController();
  let stoppedAt = 0;
  const onSignal = (name: NodeJS.Signals) => {
    // Under npm one Ctrl-C comes twice: from the terminal and handed on by npm.
    if (controller.signal.aborted && performance.now() - stoppedAt < SAME_KEY_MS) return;
    if (controller.signal.aborted) process.exit(1);
    stoppedAt = performance.now();
    reporter.status('');
    reporter.info(`${name}: finishing what is being handled. Once more to quit at once.`);
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return controller.signal;
}

const SAME_KEY_MS = 200;
