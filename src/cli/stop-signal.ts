import type { Reporter } from '../reporter.ts';
import { exitNow } from './process-end.ts';

/**
 * A signal that aborts at the first SIGINT or SIGTERM, when the terminal is closed, or when npm has
 * ended that started this process. The second signal ends the process at once with exit code 1,
 * whatever still runs.
 * @param what the process does about it
 */
export function stopSignal(
  reporter: Reporter,
  what = 'finishing what is being handled. Once more to quit at once.',
): AbortSignal {
  return abortOnSignal({
    onFirst(name) {
      reporter.status('');
      reporter.info(`${name}: ${what}`);
    },
    onSecond(name) {
      reporter.info(`${name}: quitting. What was being handled will be handed out again.`);
    },
  }).signal;
}

/**
 * The same without a word, and also when nobody reads the output any more: for commands that show
 * something until they are told to end.
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
 * npx and "npm run" end at SIGTERM without passing it on, and would leave this process running.
 * Whoever else starts it may end for reasons of their own.
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
