import type { StreamReporter } from '../reporter.ts';
import { exitNow } from './process-end.ts';

/**
 * Returns a signal that aborts at the first SIGINT or SIGTERM, when the terminal is closed, or when
 * the npm that started this process has ended. The second signal ends the process at once, with
 * exit code 1.
 * @param what tells what the process does about it
 */
export function stopSignal(
  reporter: StreamReporter,
  what = 'waiting for running handlers. Press Ctrl-C again to quit now.',
): AbortSignal {
  return abortOnSignal({
    onFirst(name) {
      reporter.status('');
      reporter.info(`${name}: ${what}`);
    },
    onSecond(name) {
      reporter.info(
        `${name}: quitting. Notifications that were being handled will be delivered again.`,
      );
    },
  }).signal;
}

/**
 * Like stopSignal(), but silent, and it also aborts when the reader of the output has gone: for
 * commands that show something until they are stopped.
 */
export function interruptSignal(): AbortSignal {
  const controller = abortOnSignal({ onFirst() {}, onSecond() {} });
  process.stdout.on('error', () => controller.abort());
  return controller.signal;
}

type Told = { onFirst(name: string): void; onSecond(name: string): void };

function abortOnSignal({ onFirst, onSecond }: Told): AbortController {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      onSecond(name);
      exitNow(1);
    }
    onFirst(name);
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  onParentGone(() => {
    if (controller.signal.aborted) return;
    onFirst('The process that started this one has ended');
    controller.abort();
  });
  return controller;
}

/**
 * npx and "npm run" end at SIGTERM without forwarding it, and would leave this process running.
 * Other parents may end for reasons of their own.
 */
function onParentGone(tell: () => void): void {
  if (process.env.npm_config_user_agent === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    tell();
  }, PARENT_MS);
  timer.unref();
}

const PARENT_MS = 500;
