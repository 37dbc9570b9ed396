import { url as inspectorUrl } from 'node:inspector';
import { relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { formatDuration } from './time.ts';

/** The user's file that is being loaded now; null if none is. */
export function loadingFile(): string | null {
  return current;
}

/** Loads files of the user's one after the other. Each may wait for ever, or block the process. */
export class Loading {
  readonly #watch: Worker | null;

  constructor() {
    // At a breakpoint nothing is late.
    this.#watch = inspectorUrl() === undefined ? startWatch() : null;
  }

  /** @throws whatever the file throws; NotLoaded once it has taken too long */
  async import(path: string): Promise<{ default?: unknown }> {
    current = path;
    this.#watch?.postMessage({ ms: LOAD_MS_MAX + BLOCKED_MS, text: blockedText(path) });
    // The timer also keeps Node.js from ending because nothing is left that could happen.
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

/** A file that has not finished loading. */
export class NotLoaded extends Error {
  constructor() {
    super(
      `it has not finished loading after ${formatDuration(LOAD_MS_MAX)}. Look for an await at its top level that never ends`,
    );
    // Described by its place in the user's file, and this one's stack knows none.
    this.name = 'Error';
  }
}

function startWatch(): Worker {
  const worker = new Worker(WATCH, { eval: true, execArgv: [], env: {} });
  worker.unref();
  // If there is no thread to watch from, there still is the timer.
  worker.on('error', () => {});
  return worker;
}

/**
 * Code that never lets go of the thread stops our timer as well. This thread says so, and ends the
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
  return `${file}: it has not finished loading, and blocks the process. Look for a loop that never ends.\n`;
}

let current: string | null = null;

const LOAD_MS_MAX = 10_000;
/** How much longer a file gets that blocks the process. */
const BLOCKED_MS = 1500;
