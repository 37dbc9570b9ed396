import type { Reporter } from '../reporter.ts';

/**
 * A signal that aborts at the first SIGINT or SIGTERM, or when the terminal is closed. The second
 * ends the process at once with exit code 1, whatever still runs.
 * @param what the process does about it
 */
export function stopSignal(
  reporter: Reporter,
  what = 'finishing what is being handled. Once more to quit at once.',
): AbortSignal {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      reporter.info(`${name}: quitting. What was being handled will be handed out again.`);
      process.exit(1);
    }
    reporter.status('');
    reporter.info(`${name}: ${what}`);
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return controller.signal;
}
