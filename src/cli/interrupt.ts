/**
 * A signal that aborts at the first SIGINT or SIGTERM, when the terminal is closed, or when nobody reads
 * the output any more. Nothing is said: for commands that show something until they are told to end.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  process.stdout.on('error', () => controller.abort());
  return controller.signal;
}
