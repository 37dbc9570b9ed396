import { readStatus, type Status } from '../../inspect/status.ts';
import { onOneLine } from '../../lines.ts';
import { sleep } from '../../time.ts';
import { keepConnected } from '../keep-connected.ts';
import type { CommonOptions } from '../options.ts';
import { interruptSignal } from '../stop-signal.ts';
import { StatusScreen } from './screen.ts';

export type WatchOptions = {
  consumerIds: readonly string[] | null;
  intervalMs: number;
  linesOf(status: Status): string[];
};

/**
 * Shows the status repeatedly, until Ctrl-C. On a terminal it redraws the alternate screen,
 * elsewhere it prints block after block. It reconnects after a lost connection: that is when people
 * watch.
 * @throws PgwatchError if the first read fails
 */
export async function watch(options: CommonOptions, how: WatchOptions): Promise<void> {
  const signal = interruptSignal();
  const screen = process.stdout.isTTY ? new StatusScreen(process.stdout) : null;
  const show = (lines: readonly string[]) =>
    screen ? screen.draw(lines) : process.stdout.write(`${lines.join('\n')}\n`);
  const connecting = {
    options,
    access: { mode: 'read', consumers: how.consumerIds ?? [] } as const,
    mode: 'follow' as const,
    signal,
    onLost: ({ message }: Error) => void show([onOneLine(`Trying again: ${message}`)]),
  };
  try {
    await keepConnected(connecting, async (client, { schema }) => {
      while (!signal.aborted) {
        const status = await readStatus(client, schema, how.consumerIds);
        if (signal.aborted) return;
        show(how.linesOf(status));
        await sleep(how.intervalMs, signal);
      }
    });
  } finally {
    screen?.close();
  }
}
