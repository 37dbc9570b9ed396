import { url as inspectorUrl } from 'node:inspector';
import { relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { formatDuration } from './time.ts';

/** The user's file that is being loaded; null if none is. */
export function loadingFile(): string | null {
  return current;
}

/** Loads users' files one after the other. Each may wait forever, or block the process. */
export class Loading {
  readonly #watch: Worker | null;

  constructor() {
    // No deadline under a debugger: the file may be stopped at a breakpoint.
    this.#watch = inspectorUrl() === undefined ? startWatch() : null;
  }

  /** @throws whatever the file throws; NotLoaded once it has taken too long */
  async import(path: string): Promise<{ default?: unknown }> {
    current = path;
    this.#watch?.postMessage({ ms: LOAD_MS_MAX + BLOCKED_MS, text: blockedText(path) });
    // The timer also keeps Node.js from exiting because its event loop is empty.
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => this.#watch && reject(new NotLoaded()), LOAD_MS_MAX);
    });
    try {
      return await Promise.race([import(pathToFileURL(path).href), late]);
    } finally {
      clearTimeout(timer);
      current = null;
    }
  }

  end(): void {
    void this.#watch?.terminate();
  }
}

/** Thrown when a file has not finished loading in time. */
export class NotLoaded extends Error {
  constructor() {
    super(
      `it has not finished loading after ${formatDuration(LOAD_MS_MAX)}.` +
        ' Look for a top-level await that never ends',
    );
    // Errors are described by their place in the user's file; the stack of this one has none.
    this.name = 'Error';
  }
}

function startWatch(): Worker {
  const worker = new Worker(WATCH, { eval: true, execArgv: [], env: {} });
  worker.unref();
  // If the thread cannot be started, the timer is still there.
  worker.on('error', () => {});
  return worker;
}

/**
 * A file that blocks the main thread also blocks our timer. This thread reports that and ends the
 * process, which only a signal can do from here.
 */
const WATCH = `
let timer;
require('node:worker_threads').parentPort.on('message', ({ ms, text }) => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    require('node:fs').writeSync(2, text);
    process.kill(process.pid, 'SIGKILL');
  }, ms);
});
`;

function blockedText(path: string): string {
  const file = relative(process.cwd(), path);
  return (
    `${file}: it has not finished loading and blocks the process.` +
    ' Look for a loop that never ends.\n'
  );
}

let current: string | null = null;

const LOAD_MS_MAX = 10_000;
/** How much more time a file gets if it blocks the process. */
const BLOCKED_MS = 1500;
