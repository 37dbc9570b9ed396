import { isStatementError } from '../../database/connect.ts';
import { PgwatchError, toError } from '../../errors.ts';
import { readStatus, type Status } from '../../inspect/status.ts';
import { onOneLine } from '../../lines.ts';
import { sleep } from '../../time.ts';
import { withConsumersToRead } from '../consumers.ts';
import type { CommonOptions } from '../options.ts';
import { StatusScreen } from './screen.ts';

export type WatchOptions = {
  consumerIds: readonly string[] | null;
  intervalMs: number;
  linesOf(status: Status): string[];
};

/**
 * Shows the status again and again, until Ctrl-C. A terminal is redrawn in place, on a screen of its own,
 * so that what was there comes back; elsewhere a block is printed each time. A connection that is lost
 * is made anew: that is when people watch.
 * @throws PgwatchError where the first look fails
 */
export async function watch(options: CommonOptions, how: WatchOptions): Promise<void> {
  const signal = interruption();
  const screen = process.stdout.isTTY ? new StatusScreen(process.stdout) : null;
  const show = (lines: readonly string[]) =>
    screen ? screen.draw(lines) : process.stdout.write(`${lines.join('\n')}\n`);
  let hasShown = false;
  const look = (): Promise<void> =>
    withConsumersToRead(options, how.consumerIds ?? [], async (client, { schema }) => {
      while (!signal.aborted) {
        const status = await readStatus(client, schema, how.consumerIds);
        if (signal.aborted) return;
        show(how.linesOf(status));
        hasShown = true;
        await sleep(how.intervalMs, signal);
      }
    });
  const interrupted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    while (!signal.aborted) {
      // A server that does not answer keeps nobody here.
      const looking = look().catch((thrown: unknown) => {
        if (!hasShown || !isPassing(thrown)) throw thrown;
        const { message } = toError(thrown);
        if (!signal.aborted) show([onOneLine(`Trying again: ${message}`)]);
      });
      await Promise.race([looking, interrupted]);
      await sleep(how.intervalMs, signal);
    }
  } finally {
    screen?.close();
  }
}

/** True for what another connection may not meet. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof PgwatchError
    ? ['connection_failed', 'server_unsuitable', 'table_locked'].includes(thrown.code)
    : !isStatementError(thrown);
}

/** A signal that aborts at Ctrl-C and the like, and where nobody reads any more; once more, and the process ends as usual. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => controller.abort());
  }
  // Who read it has gone, as "head" does.
  process.stdout.once('error', () => controller.abort());
  return controller.signal;
}
